/*
 * convert.c: `tessera convert`: a Hugging Face folder, or another model of tessera's, to one GGUF file.
 *
 * The library does the work tensor by tensor; here are the progress bar, the report of errors per tensor
 * (-v) and per part (always), and the interruption: Ctrl-C leaves the old file, or none.
 */
#include "program.h"

#include <math.h>
#include <string.h>

struct part_sum {
    size_t tensors, bytes;
    double elements;
    struct tsr_tile_loss loss;
};

struct report {
    const struct options *options;
    struct progress progress;
    struct part_sum parts[TSR_PARTS];
    json_t *tensors; /* for --json */
};

static double relative_error(const struct tsr_tile_loss *loss)
{
    return loss->value2 > 0 ? sqrt(loss->error2 / loss->value2) : 0;
}

static void on_tensor(void *data, const struct tsr_convert_report *tensor)
{
    struct report *report = data;
    struct part_sum *part = &report->parts[tensor->part];

    part->tensors++;
    part->bytes += tensor->bytes;
    part->elements += (double)tensor->n * (double)tensor->k;
    part->loss.value2 += tensor->loss.value2;
    part->loss.error2 += tensor->loss.error2;
    if (tensor->loss.error_max > part->loss.error_max)
        part->loss.error_max = tensor->loss.error_max;
    if (report->options->verbose)
        fprintf(stderr, "%-44s %-5s %7zu x %-7zu error %.2e\n", tensor->tensor,
                tsr_format_name(tensor->format), tensor->n, tensor->k,
                relative_error(&tensor->loss));
    if (report->tensors != NULL)
        json_array_append_new(report->tensors,
                              json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:f}", "name", tensor->tensor, "part",
                                        tsr_part_names[tensor->part], "type",
                                        tsr_format_name(tensor->format), "n", (json_int_t)tensor->n,
                                        "k", (json_int_t)tensor->k, "bytes",
                                        (json_int_t)tensor->bytes, "relative_error",
                                        relative_error(&tensor->loss)));
    progress_show(&report->progress, (double)(tensor->index + 1), (double)tensor->count);
}

static int stop(void *data)
{
    (void)data;
    return program_interrupted();
}

/* "PART=TYPE" into part_format. */
static int parse_rule(uint32_t *part_format, const char *rule)
{
    const char *const equals = strchr(rule, '=');
    struct tsr_error error;

    if (equals == NULL)
        return program_error(TSR_USAGE, "--type-for %.60s: must be PART=TYPE, as in decoder=f16", rule);
    for (size_t i = 0; i < TSR_PARTS; i++) {
        const size_t length = strlen(tsr_part_names[i]);

        if (length != (size_t)(equals - rule) || strncmp(rule, tsr_part_names[i], length) != 0)
            continue;
        if (tsr_format_parse(&part_format[i], equals + 1, &error) != TSR_OK)
            return program_fail(&error);
        return 0;
    }
    return program_error(TSR_USAGE,
                         "--type-for %.60s: parts are lm, embed, head, see, draw-head, decoder", rule);
}

static void print_table(const struct report *report)
{
    printf("%-10s %8s %12s %10s %14s\n", "part", "tensors", "parameters", "MiB", "relative error");
    for (size_t i = 0; i < TSR_PARTS; i++) {
        const struct part_sum *part = &report->parts[i];

        if (part->tensors > 0)
            printf("%-10s %8zu %12.0f %10.2f %14.2e\n", tsr_part_names[i], part->tensors,
                   part->elements, (double)part->bytes / (1024 * 1024), relative_error(&part->loss));
    }
}

static int print_json(struct report *report, const char *path)
{
    json_t *parts = json_object();

    for (size_t i = 0; i < TSR_PARTS; i++) {
        const struct part_sum *part = &report->parts[i];

        if (part->tensors > 0)
            json_object_set_new(parts, tsr_part_names[i],
                                json_pack("{s:I,s:f,s:I,s:f}", "tensors", (json_int_t)part->tensors,
                                          "parameters", part->elements, "bytes",
                                          (json_int_t)part->bytes, "relative_error",
                                          relative_error(&part->loss)));
    }
    return json_print(json_pack("{s:o,s:o,s:O}", "output", json_words(path, strlen(path)), "parts", parts,
                                "tensors", report->tensors),
                      JSON_INDENT(1));
}

static int run(const struct options *options)
{
    struct report report = {.options = options};
    struct tsr_convert_options how = {.report = on_tensor, .stop = stop, .data = &report};
    const char *const source = options->arguments[0];
    struct tsr_error error;
    tsr_status status;
    int code;

    if (options->output == NULL)
        return program_error(TSR_USAGE, "no output: say where with -o FILE.gguf");
    if (tsr_format_parse(&how.format, options->type != NULL ? options->type : "q8_0", &error) != TSR_OK)
        return program_fail(&error);
    for (size_t i = 0; i < TSR_PARTS; i++)
        how.part_format[i] = ~0u;
    for (size_t i = 0; i < options->rules.count; i++) {
        code = parse_rule(how.part_format, options->rules.items[i]);

        if (code != 0)
            return code;
    }
    code = program_target(options->output, options);
    if (code != 0)
        return code;
    report.tensors = options->json ? json_array() : NULL;
    progress_start(&report.progress, options, "convert", "tensors");
    program_undoes(1);
    status = tsr_convert(source, options->output, &how, &error);
    progress_end(&report.progress);
    if (status != TSR_OK) {
        json_decref(report.tensors);
        return program_fail(&error);
    }
    if (options->json) {
        code = print_json(&report, options->output);

        json_decref(report.tensors);
        return code;
    }
    print_table(&report);
    printf("wrote %s\n", options->output);
    return 0;
}

const struct command command_convert = {
    .name = "convert",
    .bit = CONVERT,
    .arguments = "SOURCE -o FILE.gguf [flags]",
    .summary = "convert a Hugging Face checkpoint to one GGUF file",
    .text = "SOURCE is a folder with config.json, tokenizer.json and safetensors, or a GGUF file made by\n"
            "tessera. Needs no Python. Weights are quantized tensor by tensor in little memory; the file\n"
            "appears when it is whole, or not at all. Prints the relative error of each part.",
    .examples = "  tessera convert Janus-Pro-1B -o Janus-Pro-1B-Q4_0.gguf --type q4_0\n"
                "  tessera convert Janus-Pro-1B -o j.gguf --type q4_0 --type-for decoder=f16\n"
                "  tessera convert model-F16.gguf -o model-Q8_0.gguf --type q8_0",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
