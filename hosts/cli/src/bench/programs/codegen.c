/* Programs that write code, for `nomad86 bench`: what a guest's own compilers do to us. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

typedef uint32_t (*function)(uint32_t);
enum { ROOM = 1 << 20 };
static uint8_t *code;

/* x → ((x ^ a) * 5 + b) ror c, several times, and returns. */
static uint8_t *emit(uint8_t *at, uint32_t seed, int steps) {
    *at++ = 0x8b, *at++ = 0x44, *at++ = 0x24, *at++ = 0x04; /* mov eax, [esp+4] */
    for (int i = 0; i < steps; i++) {
        seed = seed * 1664525u + 1013904223u;
        *at++ = 0x35, memcpy(at, &seed, 4), at += 4;        /* xor eax, a */
        *at++ = 0x8d, *at++ = 0x04, *at++ = 0x80;           /* lea eax, [eax+eax*4] */
        seed = seed * 1664525u + 1013904223u;
        *at++ = 0x05, memcpy(at, &seed, 4), at += 4;        /* add eax, b */
        *at++ = 0xc1, *at++ = 0xc8, *at++ = seed >> 28 | 1; /* ror eax, c */
    }
    *at++ = 0xc3; /* ret */
    return at;
}

/* Functions that are written once and called now and then: a compiler's warm-up. */
static uint32_t fresh(void) {
    uint8_t *at = code;
    uint32_t x = 1;
    for (uint32_t i = 0; i < 700000; i++) {
        uint8_t *start = (uint8_t *)(((uintptr_t)at + 15) & ~15u);
        if (start + 1024 > code + ROOM) start = code;
        at = emit(start, i, 12);
        for (int k = 0; k < 30; k++) x = ((function)start)(x);
    }
    return x;
}

/* One loop whose constants are patched between runs. */
static uint32_t patch(void) {
    uint32_t x = 1;
    emit(code, 7, 12);
    for (uint32_t i = 0; i < 1500000; i++) {
        uint32_t a = i * 2654435761u;
        memcpy(code + 5 + 16 * (i % 12), &a, 4);
        for (int k = 0; k < 20; k++) x = ((function)code)(x);
    }
    return x;
}

/* Code whose data lie in its page: counters beside trampolines. */
static uint32_t nearby(void) {
    uint32_t x = 1;
    volatile uint32_t *counter = (volatile uint32_t *)(code + 2048);
    emit(code, 9, 12);
    for (uint32_t i = 0; i < 30000000; i++) {
        x = ((function)code)(x);
        counter[i % 64] += x;
    }
    return x + counter[5];
}

/* Inline caches: calls whose targets are rewritten now and then. */
static uint32_t caches(void) {
    uint8_t *targets[16], *at = code + 4096, *site = code;
    uint32_t x = 1;
    for (int i = 0; i < 16; i++) targets[i] = at, at = emit(at, i, 4), at += 16;
    /* push [esp+4]; call target; add esp, 4; ret */
    memcpy(site, "\xff\x74\x24\x04\xe8\0\0\0\0\x83\xc4\x04\xc3", 13);
    for (uint32_t i = 0; i < 1500000; i++) {
        int32_t distance = targets[i % 16] - (site + 9);
        memcpy(site + 5, &distance, 4);
        for (int k = 0; k < 40; k++) x = ((function)site)(x);
    }
    return x;
}

int main(int argc, char **argv) {
    static const struct { const char *name; uint32_t (*run)(void); } all[] = {
        {"fresh", fresh}, {"patch", patch}, {"nearby", nearby}, {"caches", caches},
    };
    code = mmap(0, ROOM, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) return perror("memory for code"), 1;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (argc > 1 && !strcmp(argv[1], all[i].name)) return printf("%u\n", all[i].run()), 0;
    return 2;
}
