/*
 * picture.c: cases of pictures, read by `tessera describe` with a good model.
 *
 * PNG files are scripts (quant_files.h). JPEG files are a good one of the fuzz corpus, changed: its
 * name, then words MARKER+OFFSET=BYTES, which writes bytes behind the two bytes of the first such
 * marker (hexadecimal, all three), MARKER+OFFSET<BYTES, which puts them in, and /N: cut to N bytes.
 */
#include "hostile.h"

#define PNG "x89504E470D0A1A0A "
#define IHDR(w, h, depth, type, lace) "c{'IHDR' D" #w " D" #h " b" #depth " b" #type " b0 b0 b" #lace "} "
#define IDAT(count) "c{'IDAT' y" #count "} "
#define IEND "c{'IEND'}"
#define SMALL(head) PNG head IDAT(14) IEND /* 2 x 2 RGB */
#define RGB IHDR(2, 2, 8, 2, 0)
#define NO_PNG(hex) "x" hex " " RGB IDAT(14) IEND, 4, "not a PNG"

const struct hostile_case png_cases[] = {
    {"good", SMALL(RGB), 0, ""},
    {"P01 bit 7 cleared", NO_PNG("09504E470D0A1A0A")},
    {"P01 a bit of the name", NO_PNG("89506E470D0A1A0A")},
    {"P01 CR LF to LF", NO_PNG("89504E470A1A0A")},
    {"P01 CR to LF", NO_PNG("89504E470A0A1A0A")},
    {"P01 LF to CR", NO_PNG("89504E470D0A1A0D")},
    {"P01 LF to CR LF", NO_PNG("89504E470D0A1A0D0A")},
    {"P02 CRC", PNG "D13 'IHDR' D2 D2 b8 b2 b0 b0 b0 D7 " IDAT(14) IEND, 4, "damaged PNG"},
    {"P02 length 12", PNG "c{'IHDR' D2 D2 b8 b2 b0 b0} " IDAT(14) IEND, 4, "damaged PNG"},
    {"P02 twice", SMALL(RGB RGB), 4, "damaged PNG"},
    {"P02 not first", PNG IDAT(14) RGB IEND, 4, "damaged PNG"},
    {"P03 width 0", SMALL(IHDR(0, 2, 8, 2, 0)), 4, "damaged PNG"},
    {"P03 height 0", SMALL(IHDR(2, 0, 8, 2, 0)), 4, "damaged PNG"},
    {"P03 width 2^31", SMALL(IHDR(2147483648, 2, 8, 2, 0)), 4, "damaged PNG"},
    {"P03 height 2^32-1", SMALL(IHDR(2, 4294967295, 8, 2, 0)), 4, "damaged PNG"},
    {"P04 type 1", SMALL(IHDR(2, 2, 8, 1, 0)), 4, "damaged PNG"},
    {"P04 type 9", SMALL(IHDR(2, 2, 8, 9, 0)), 4, "damaged PNG"},
    {"P04 depth 0", SMALL(IHDR(2, 2, 0, 0, 0)), 4, "damaged PNG"},
    {"P04 depth 3", SMALL(IHDR(2, 2, 3, 0, 0)), 4, "damaged PNG"},
    {"P04 depth 99", SMALL(IHDR(2, 2, 99, 0, 0)), 4, "damaged PNG"},
    {"P04 RGB of 4 bits", SMALL(IHDR(2, 2, 4, 2, 0)), 4, "damaged PNG"},
    {"P04 palette of 16 bits", SMALL(IHDR(2, 2, 16, 3, 0)), 4, "damaged PNG"},
    {"P05 60,000 x 60,000", SMALL(IHDR(60000, 60000, 8, 2, 0)), 5, "over the limit"},
    {"P06 1000 times the rows", PNG IHDR(100, 100, 8, 0, 0) IDAT(10100000) IEND, 4, "damaged PNG"},
    {"P07 no IDAT", PNG RGB IEND, 4, "damaged PNG"},
    {"P07 split by a chunk", PNG RGB IDAT(7) "c{'tEXt' 'k' b0 'v'} " IDAT(7) IEND, 4, "damaged PNG"},
    {"P07 ends early", PNG RGB IDAT(7) IEND, 4, "damaged PNG"},
    {"P07 CRC", PNG RGB "D12 'IDAT' y14 D7 " IEND, 4, "PNG"},
    {"P07 Adler", PNG RGB "c{'IDAT' x7801010E00F1FF z14 D7} " IEND, 4, "damaged PNG"},
    {"P08 length 2^32-1", PNG RGB "D4294967295 'IDAT' y14 D0 " IEND, 4, "damaged PNG"},
    {"P08 past the end", PNG RGB "D100000 'IDAT' y14 D0 " IEND, 4, "PNG"},
    {"P09 no PLTE", PNG IHDR(2, 2, 8, 3, 0) IDAT(6) IEND, 4, "damaged PNG"},
    {"P09 257 entries", PNG IHDR(2, 2, 8, 3, 0) "c{'PLTE' z771} " IDAT(6) IEND, 4, "damaged PNG"},
    {"P09 an index beyond",
     PNG IHDR(2, 1, 8, 3, 0) "c{'PLTE' z3} c{'IDAT' x7801010300FCFF000009000C000A} " IEND, 0, ""},
    {"P10 tRNS too long", PNG IHDR(2, 2, 8, 3, 0) "c{'PLTE' z3} c{'tRNS' z2} " IDAT(6) IEND, 4, "damaged PNG"},
    {"P11 10,000 texts", PNG RGB "*10000{D7 'tEXtkey' b0 'val' xC8A1A0A5 } " IDAT(14) IEND, 0, ""},
    {"P11 60 MB of text", PNG RGB "c{'zTXt' 'key' b0 b0 y60000000} " IDAT(14) IEND, 0, ""},
    {"P11 60 MB of profile", PNG RGB "c{'iCCP' 'key' b0 b0 y60000000} " IDAT(14) IEND, 0, ""},
    {"P12 filter 5", PNG RGB "c{'IDAT' y14:5} " IEND, 4, "damaged PNG"},
    {"P12 filter 255", PNG RGB "c{'IDAT' y14:255} " IEND, 4, "damaged PNG"},
    {"P13 1 x 1 interlaced", PNG IHDR(1, 1, 8, 0, 1) IDAT(2) IEND, 0, ""},
    {"P13 1 x 9 interlaced", PNG IHDR(1, 9, 8, 0, 1) IDAT(18) IEND, 0, ""},
    {"P13 65535 x 1", PNG IHDR(65535, 1, 8, 0, 0) IDAT(65536) IEND, 0, ""},
    {"P13 65536 x 1", PNG IHDR(65536, 1, 8, 0, 0) IDAT(65537) IEND, 5, "over the limit"},
    {"P14 no IEND", PNG RGB IDAT(14), 4, "truncated PNG"},
    {"a GIF", "'GIF89a' z100", 5, "GIF; convert it"},
    {"a WebP", "'RIFF' d4 'WEBP' z100", 5, "WebP; convert it"},
    {"empty", "", 4, "empty file"},
    {"F02 an LFS pointer", "'version https://git-lfs.github.com/spec/v1'", 4, "not a PNG or JPEG"},
    {0},
};

const struct hostile_case jpeg_cases[] = {
    {"P15 J good, named .png", "baseline", 0, ""},
    {"good progressive", "progressive", 0, ""},
    {"J01 SOI only", "baseline /2", 4, "truncated JPEG"},
    {"J01 cut in a segment", "baseline /30", 4, "truncated JPEG"},
    {"J01 cut in the data", "baseline /-40", 4, "JPEG"},
    {"J01 no EOI", "baseline /-2", 4, "truncated JPEG"},
    {"J02 height 0", "baseline FFC0+3=0000", 4, "damaged JPEG"},
    {"J02 width 0", "baseline FFC0+5=0000", 4, "damaged JPEG"},
    {"J02 65535 x 65535", "baseline FFC0+3=FFFFFFFF", 5, "65500"},
    {"J02 60,000 x 60,000", "baseline FFC0+3=EA60EA60", 5, "over the limit"},
    {"J03 length 0", "baseline FFDB+0=0000", 4, "damaged JPEG"},
    {"J03 length 1", "baseline FFDB+0=0001", 4, "damaged JPEG"},
    {"J03 past the end", "baseline FFC4+0=FFFF", 4, "JPEG"},
    {"J04 counts above 256", "baseline FFC4+3=FFFF", 4, "damaged JPEG"},
    {"J04 too full", "baseline FFC4+3=04", 4, "damaged JPEG"},
    {"J05 a table that is none", "baseline FFDA+4=33", 4, "damaged JPEG"},
    {"J06 no table", "baseline FFC0+8=03", 4, "damaged JPEG"},
    {"J06 16 bits in baseline", "baseline FFDB+2=F0", 4, "damaged JPEG"},
    {"J07 sampling 0", "baseline FFC0+9=00", 4, "damaged JPEG"},
    {"J07 sampling 5", "baseline FFC0+9=55", 4, "damaged JPEG"},
    {"J07 sampling 4 x 4", "baseline FFC0+9=44 FFC0+C=44 FFC0+F=44", 4, "damaged JPEG"},
    {"J07 a component twice", "baseline FFDA+5=01", 4, "damaged JPEG"},
    {"J07 0 components", "baseline FFC0+7=00", 4, "damaged JPEG"},
    {"J07 5 components", "baseline FFC0+7=05", 4, "damaged JPEG"},
    {"J08 112 scans", "scans 112", 5, "more than 100 scans"},
    {"J08 98 scans", "scans 98", 0, ""},
    {"J09 spectral 40 to 10", "progressive FFDA+9=280A", 4, "damaged JPEG"},
    {"J09 Ah 14, Al 14", "progressive FFDA+B=EE", 4, "damaged JPEG"},
    {"J10 two SOF", "baseline FFC0+-2<FFC0000B080010001001011100", 5, "SOF"},
    {"J10 SOF after SOS", "baseline FFD9+-2<FFC0000B080010001001011100", 5, "SOF"},
    {"J10 DNL, the height is known", "baseline FFD9+-2<FFDC00040010", 0, ""},
    {"J10 DNL, the height is not", "baseline FFC0+3=0000 FFD9+-2<FFDC00040010", 4, "damaged JPEG"},
    {"J11 arithmetic", "baseline FFC0+-2=FFC9", 5, "rithmetic"},
    {"J11 lossless", "baseline FFC0+-2=FFC3", 5, "SOF"},
    {"J11 12 bits", "baseline FFC0+2=0C", 5, "precision"},
    {"J11 CMYK", "baseline FFC0+0=0014 FFC0+7=04 FFC0+11<041100", 5, "CMYK"},
    {"J12 restarts that do not come", "baseline FFDA+-2<FFDD00040001", 4, "damaged JPEG"},
    {"J13 EXIF orientation 9",
     "baseline FFD8+0<FFE100224578696600004949"
     "2A0008000000010012010300010000000900000008000000", 0, ""},
    {"J13 EXIF that points to itself",
     "baseline FFD8+0<FFE100224578696600004949"
     "2A0008000000FFFF69870400010000000800000008000000", 0, ""},
    {0},
};
