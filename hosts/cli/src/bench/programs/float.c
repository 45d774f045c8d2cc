/* Floating point for `nomad86 bench`: compiled once for the x87 and once for SSE2. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP __attribute__((noinline))

/* Five bodies, as in the solar system. */
struct body { double x[3], v[3], mass; };
static void nbody(void) {
    struct body bodies[5];
    double e = 0;
    for (int i = 0; i < 5; i++) {
        bodies[i].mass = i ? 0.01 / i : 39.47;
        for (int k = 0; k < 3; k++) {
            bodies[i].x[k] = i * (4.5 - k) + k * 0.37;
            bodies[i].v[k] = i ? 2.5 / (i + k) - 0.2 * k : 0;
        }
    }
    for (int step = 0; step < 3000000; step++) {
        for (int i = 0; i < 5; i++)
            for (int j = i + 1; j < 5; j++) {
                struct body *a = &bodies[i], *b = &bodies[j];
                double d[3], square = 0;
                for (int k = 0; k < 3; k++) d[k] = a->x[k] - b->x[k], square += d[k] * d[k];
                double pull = 0.001 / (square * sqrt(square) + 0.01);
                for (int k = 0; k < 3; k++) a->v[k] -= d[k] * b->mass * pull, b->v[k] += d[k] * a->mass * pull;
            }
        for (int i = 0; i < 5; i++)
            for (int k = 0; k < 3; k++) bodies[i].x[k] += 0.001 * bodies[i].v[k];
    }
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) e += bodies[i].mass * bodies[i].v[k] * bodies[i].v[k];
    printf("%.17g\n", e);
}

static void dgemm(void) {
    enum { N = 192 };
    static double a[N][N], b[N][N], c[N][N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) a[i][j] = (i * 7 + j) % 13 * 0.37, b[i][j] = (i + j * 5) % 11 * 0.21 - 1;
    for (int round = 0; round < 100; round++)
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++) {
                double x = a[i][k];
                for (int j = 0; j < N; j++) c[i][j] += x * b[k][j];
            }
    printf("%.17g\n", c[N / 2][N / 3]);
}

static void mandelbrot(void) {
    enum { N = 500 };
    unsigned inside = 0;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            double cr = 2.0 * x / N - 1.5, ci = 2.0 * y / N - 1.0, zr = 0, zi = 0;
            int i = 0;
            for (; i < 500 && zr * zr + zi * zi < 4; i++) {
                double t = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = t;
            }
            inside += i;
        }
    printf("%u\n", inside);
}

static double cell(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }
static KEEP void multiply(int n, const double *v, double *out, int across) {
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++) sum += (across ? cell(j, i) : cell(i, j)) * v[j];
        out[i] = sum;
    }
}
static void spectral(void) {
    enum { N = 700 };
    static double u[N], v[N], t[N];
    for (int i = 0; i < N; i++) u[i] = 1;
    for (int round = 0; round < 300; round++) {
        multiply(N, u, t, 0);
        multiply(N, t, v, 1);
        memcpy(u, v, sizeof u);
    }
    printf("%.17g\n", u[N / 2]);
}

/* Single precision, a 4×4 matrix on many vectors: what graphics does. */
static KEEP void transform(const float m[16], const float *in, float *out, int n) {
    for (int i = 0; i < n; i++, in += 4, out += 4)
        for (int r = 0; r < 4; r++) out[r] = m[r] * in[0] + m[4 + r] * in[1] + m[8 + r] * in[2] + m[12 + r] * in[3];
}
static void vectors(void) {
    enum { N = 4096 };
    static float a[N * 4], b[N * 4];
    float m[16], sum = 0;
    for (int i = 0; i < 16; i++) m[i] = (i % 5 - 2) * 0.31f;
    for (int i = 0; i < N * 4; i++) a[i] = i % 17 * 0.5f - 4;
    for (int round = 0; round < 12000; round++) {
        transform(m, a, b, N);
        a[round % N] += b[round % N] * 0.001f;
    }
    for (int i = 0; i < N * 4; i++) sum += b[i];
    printf("%.9g\n", sum);
}

/* The C library's functions; their last digits are those of the processor's own instructions on some. */
static void library(void) {
    double sum = 0;
    for (int i = 1; i < 1500000; i++) {
        double x = i * 0.0001;
        sum += sin(x) * cos(x * 0.5) + exp(-x * 0.01) + log(x) + pow(x, 0.3) + atan2(x, 3);
    }
    printf("%.7g\n", sum);
}

int main(int argc, char **argv) {
    static const struct { const char *name; void (*run)(void); } all[] = {
        {"nbody", nbody}, {"dgemm", dgemm}, {"mandelbrot", mandelbrot}, {"spectral", spectral},
        {"vectors", vectors}, {"library", library},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (argc > 1 && !strcmp(argv[1], all[i].name)) return all[i].run(), 0;
    return 2;
}
