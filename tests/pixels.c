/*
 * pixels.c: PICTURE...: writes the pixels of PNG or JPEG files to standard output, as binary PPM.
 *
 * A PNG's bytes depend on the version of zlib; its pixels do not. So golden hashes of drawings are
 * hashes of what this prints.
 */
#include "model.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct tsr_picture picture;
        struct tsr_error error;

        if (tsr_picture_read(&picture, argv[i], &error) != TSR_OK) {
            fprintf(stderr, "pixels: %s\n", error.message);
            return 1;
        }
        printf("P6 %zu %zu 255\n", picture.width, picture.height);
        fwrite(picture.rgb, 3, picture.width * picture.height, stdout);
        tsr_picture_free(&picture);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
