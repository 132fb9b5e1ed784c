#include "core/recurrent.h"

#include <string.h>

#include "core/math.h"
#include "core/parallel.h"
#include "core/tile.h"

enum { MOST = 112 }; /* sequences that go through the steps together, so that what they read twice stays in a cache */

size_t sm_cell_gates(sm_cell cell) { return cell == SM_LSTM ? 4 : cell == SM_GRU ? 3 : 1; }

bool sm_cell_keeps(sm_cell cell) { return cell == SM_LSTM || cell == SM_GRU; }

/* ---- products with a matrix that is packed once for all steps ---- */

/* Panels one after the other, each (terms, width). */
typedef struct packed {
  const real *panels;
  size_t terms, columns;
} packed;

static size_t packed_columns(size_t columns) {
  if (columns == 0) return 0;
  sm_panel last = sm_panel_of(columns, sm_panels_of(columns) - 1);
  return last.first + last.width;
}

typedef struct packing {
  real *out;
  const real *x;
  bool transpose;
  size_t terms, columns;
} packing;

/* One panel of op(x) (terms, columns). */
static void pack_panel(const void *work, size_t index) {
  const packing *of = work;
  sm_panel panel = sm_panel_of(of->columns, index);
  real *out = of->out + panel.first * of->terms;
  for (size_t term = 0; term < of->terms; term++, out += panel.width) {
    if (!of->transpose) {
      sm_copy_padded(out, of->x + term * of->columns + panel.first, &panel);
      continue;
    }
    for (size_t j = 0; j < panel.width; j++)
      out[j] = j < panel.count ? of->x[(panel.first + j) * of->terms + term] : 0;
  }
}

static packed pack(real *out, const real *x, bool transpose, size_t terms, size_t columns) {
  sm_compute(sm_panels_of(columns), terms * columns, pack_panel, &(packing){out, x, transpose, terms, columns});
  return (packed){out, terms, columns};
}

/* out (rows, columns as packed) = start + a (rows, terms) * b. Elements between rows: out_step, start_step (0: one
   start for all rows), a_step. start may be NULL. */
static void multiply(real *out, size_t out_step, const real *start, size_t start_step, const real *a, size_t a_step,
                     const packed *b, size_t rows) {
  for (size_t index = 0; index < sm_panels_of(b->columns); index++) {
    sm_panel panel = sm_panel_of(b->columns, index);
    const sm_tile tile = {.out = out + panel.first, .out_step = out_step,
                          .start = start ? start + panel.first : NULL, .start_step = start_step,
                          .a = a, .a_step = a_step, .b = b->panels + panel.first * b->terms, .b_step = panel.width,
                          .blocks = 1, .runs = 1, .terms = b->terms};
    sm_tile_multiply(&tile, rows, panel.width, false);
  }
}

/* ---- sequences ---- */

typedef struct pass {
  sm_recurrence of;
  real *y, *gates, *kept; /* written by the forward pass, read by the other */
  const real *h, *c;
  real *ga, *gr, *gh, *gc;
  const real *gy, *gc_last;
  packed v;         /* or its transpose */
  const real *bias; /* d, as wide as v is packed */
  real *own;        /* scratch of each chunk */
  size_t own_count; /* numbers in it */
  size_t chunks;
} pass;

/* Numbers of scratch of one sequence: products as wide as the gates, or two gradients of the state. */
static size_t row_numbers(const sm_recurrence *of) {
  size_t gates = packed_columns(sm_cell_gates(of->cell) * of->size), state = packed_columns(of->size);
  return gates > 2 * state ? gates : 2 * state;
}

/* Sequences are shared out by the number of threads, for no bit depends on it. */
static size_t chunks_of(const sm_recurrence *of) {
  size_t least = (of->batch + MOST - 1) / MOST, workers = sm_workers(of->batch);
  return workers ? (least + workers - 1) / workers * workers : 0;
}

static size_t rows_of(const sm_recurrence *of, size_t chunks) {
  return chunks ? (of->batch + chunks - 1) / chunks : 0;
}

/* v packed, d padded, and the rows of every chunk. */
bool sm_recurrent_scratch(size_t *bytes, const sm_recurrence *of) {
  size_t gates = sm_cell_gates(of->cell) * of->size, chunks = chunks_of(of), v, rows;
  size_t forward = packed_columns(gates), backward = packed_columns(of->size);
  if (!sm_multiply(&v, of->size, forward) || !sm_multiply(&rows, gates, backward)) return false;
  if (rows > v) v = rows;
  if (!sm_multiply(&rows, chunks * rows_of(of, chunks), row_numbers(of))) return false;
  return sm_multiply(bytes, v + forward + backward + rows + SM_LINE, sizeof(real));
}

static void start(pass *work, void *scratch, const real *v, bool transpose) {
  size_t gates = sm_cell_gates(work->of.cell) * work->of.size, state = work->of.size;
  size_t terms = transpose ? gates : state, columns = transpose ? state : gates, width = packed_columns(columns);
  real *numbers = scratch;
  work->v = pack(numbers, v, transpose, terms, columns);
  numbers += terms * width;
  if (work->bias) {
    memcpy(numbers, work->bias, columns * sizeof *numbers);
    memset(numbers + columns, 0, (width - columns) * sizeof *numbers);
    work->bias = numbers;
    numbers += width;
  }
  work->chunks = chunks_of(&work->of);
  work->own = numbers;
  work->own_count = rows_of(&work->of, work->chunks) * row_numbers(&work->of);
}

static size_t elements_of(const sm_recurrence *of) {
  return of->batch * of->steps * sm_cell_gates(of->cell) * of->size;
}

/* The step that comes at a place in time. */
static size_t step_of(const sm_recurrence *of, size_t time) { return of->reverse ? of->steps - 1 - time : time; }

/* ---- forward ---- */

static real act(real x, bool relu) { return relu ? sm_relu(x) : sm_tanh(x); }

static void rnn_row(real *h, const real *r, bool relu, size_t size) {
  if (relu)
    for (size_t j = 0; j < size; j++) h[j] = act(h[j] + r[j], true);
  else
    for (size_t j = 0; j < size; j++) h[j] = act(h[j] + r[j], false);
}

static void gru_row(real *restrict h, real *restrict gates, real *restrict kept, const real *restrict r,
                    const real *restrict before, size_t size) {
  for (size_t j = 0; j < size; j++) {
    real reset = sm_sigmoid(gates[j] + r[j]), update = sm_sigmoid(gates[size + j] + r[size + j]);
    real state = r[2 * size + j], next = sm_tanh(sm_fma(reset, state, gates[2 * size + j]));
    gates[j] = reset;
    gates[size + j] = update;
    gates[2 * size + j] = next;
    kept[j] = state;
    h[j] = sm_fma(update, (before ? before[j] : 0) - next, next);
  }
}

static void lstm_row(real *restrict h, real *restrict gates, real *restrict c, const real *restrict r,
                     const real *restrict before, size_t size) {
  for (size_t j = 0; j < size; j++) {
    real in = sm_sigmoid(gates[j] + r[j]), forget = sm_sigmoid(gates[size + j] + r[size + j]);
    real next = sm_tanh(gates[2 * size + j] + r[2 * size + j]), out = sm_sigmoid(gates[3 * size + j] + r[3 * size + j]);
    real cell = sm_fma(forget, before ? before[j] : 0, in * next);
    gates[j] = in;
    gates[size + j] = forget;
    gates[2 * size + j] = next;
    gates[3 * size + j] = out;
    c[j] = cell;
    h[j] = out * sm_tanh(cell);
  }
}

static const real *at(const real *x, size_t offset) { return x ? x + offset : NULL; }

static void forward_chunk(const void *work, size_t chunk) {
  const pass *p = work;
  const sm_recurrence *of = &p->of;
  const size_t size = of->size, all = sm_cell_gates(of->cell) * size, width = packed_columns(all);
  sm_range range = sm_chunk(of->batch, p->chunks, chunk);
  real *products = p->own + chunk * p->own_count;
  for (size_t time = 0; time < of->steps; time++) {
    const size_t step = step_of(of, time), row = of->steps * size;
    const real *before = time == 0 ? p->h : p->y + step_of(of, time - 1) * size;
    const real *cells = time == 0 ? p->c : of->cell == SM_LSTM ? p->kept + step_of(of, time - 1) * size : NULL;
    const size_t stride = time == 0 ? size : row; /* between sequences of these two */
    if (before) {
      multiply(products, width, p->bias, 0, before + range.first * stride, stride, &p->v, range.last - range.first);
    } else {
      for (size_t i = 0; i < range.last - range.first; i++) {
        if (p->bias) memcpy(products + i * width, p->bias, width * sizeof *products);
        else memset(products + i * width, 0, width * sizeof *products);
      }
    }
    for (size_t i = range.first; i < range.last; i++) {
      const real *r = products + (i - range.first) * width;
      real *h = p->y + i * row + step * size, *gates = p->gates + (i * of->steps + step) * all;
      if (of->cell == SM_LSTM)
        lstm_row(h, gates, p->kept + i * row + step * size, r, at(cells, i * stride), size);
      else if (of->cell == SM_GRU)
        gru_row(h, gates, p->kept + i * row + step * size, r, at(before, i * stride), size);
      else
        rnn_row(h, r, of->cell == SM_RNN_RELU, size);
    }
  }
}

void sm_recurrent_forward(real *y, real *gates, real *kept, const real *v, const real *d, const real *h, const real *c,
                          void *scratch, const sm_recurrence *of) {
  if (of->batch == 0 || of->steps == 0 || of->size == 0) return;
  pass work = {.of = *of, .y = y, .gates = gates, .kept = kept, .h = h, .c = c, .bias = d};
  start(&work, scratch, v, false);
  sm_compute(work.chunks, elements_of(of), forward_chunk, &work);
}

/* ---- backward ---- */

/* Each: the gradients of the gates' sums from dh, that of h. carry: what h' gets beside the products, where it is not
   0. */
static void rnn_row_backward(real *restrict ga, const real *restrict dh, const real *restrict h, bool relu,
                             size_t size) {
  if (relu)
    for (size_t j = 0; j < size; j++) ga[j] = h[j] <= 0 ? 0 : dh[j];
  else
    for (size_t j = 0; j < size; j++) ga[j] = dh[j] * (1 - h[j] * h[j]);
}

static void gru_row_backward(real *restrict ga, real *restrict gr, real *restrict carry, const real *restrict dh,
                             const real *restrict gates, const real *restrict kept, const real *restrict before,
                             size_t size) {
  for (size_t j = 0; j < size; j++) {
    real reset = gates[j], update = gates[size + j], next = gates[2 * size + j];
    real gn = dh[j] * (1 - update) * (1 - next * next);
    real gz = dh[j] * ((before ? before[j] : 0) - next) * update * (1 - update);
    real g = gn * kept[j] * reset * (1 - reset);
    ga[j] = gr[j] = g;
    ga[size + j] = gr[size + j] = gz;
    ga[2 * size + j] = gn;
    gr[2 * size + j] = gn * reset;
    carry[j] = dh[j] * update;
  }
}

/* gc: the gradient of c on the way in, of c' on the way out. */
static void lstm_row_backward(real *restrict ga, real *restrict gc, const real *restrict dh, const real *restrict gates,
                              const real *restrict c, const real *restrict before, size_t size) {
  for (size_t j = 0; j < size; j++) {
    real in = gates[j], forget = gates[size + j], next = gates[2 * size + j], out = gates[3 * size + j];
    real shown = sm_tanh(c[j]), g = sm_fma(dh[j] * out, 1 - shown * shown, gc[j]);
    ga[j] = g * next * in * (1 - in);
    ga[size + j] = g * (before ? before[j] : 0) * forget * (1 - forget);
    ga[2 * size + j] = g * in * (1 - next * next);
    ga[3 * size + j] = dh[j] * shown * out * (1 - out);
    gc[j] = g * forget;
  }
}

/* In scratch, for each sequence: dh, and beside it the gradient of c or what h' gets beside the products. */
static void backward_chunk(const void *work, size_t chunk) {
  const pass *p = work;
  const sm_recurrence *of = &p->of;
  const size_t size = of->size, all = sm_cell_gates(of->cell) * size, width = packed_columns(size);
  const size_t row = of->steps * size;
  sm_range range = sm_chunk(of->batch, p->chunks, chunk);
  const size_t count = range.last - range.first;
  real *dh = p->own + chunk * p->own_count, *beside = dh + count * width;
  memset(dh, 0, 2 * count * width * sizeof *dh);
  for (size_t i = 0; p->gc_last && i < count; i++)
    memcpy(beside + i * width, p->gc_last + (range.first + i) * size, size * sizeof *dh);
  for (size_t time = of->steps; time-- > 0;) {
    const size_t step = step_of(of, time), stride = time == 0 ? size : row;
    const real *before = time == 0 ? p->h : p->y + step_of(of, time - 1) * size;
    const real *cells = time == 0 ? p->c : of->cell == SM_LSTM ? p->kept + step_of(of, time - 1) * size : NULL;
    for (size_t i = range.first; i < range.last; i++) {
      const size_t own = (i - range.first) * width, state = i * row + step * size;
      const size_t gates = (i * of->steps + step) * all;
      for (size_t j = 0; j < size; j++) dh[own + j] += p->gy[state + j];
      if (of->cell == SM_LSTM)
        lstm_row_backward(p->ga + gates, beside + own, dh + own, p->gates + gates, p->kept + state,
                          at(cells, i * stride), size);
      else if (of->cell == SM_GRU)
        gru_row_backward(p->ga + gates, p->gr + gates, beside + own, dh + own, p->gates + gates, p->kept + state,
                         at(before, i * stride), size);
      else
        rnn_row_backward(p->ga + gates, dh + own, p->y + state, of->cell == SM_RNN_RELU, size);
    }
    if (time > 0 || p->gh)
      multiply(dh, width, of->cell == SM_GRU ? beside : NULL, width,
               (of->cell == SM_GRU ? p->gr : p->ga) + (range.first * of->steps + step) * all, of->steps * all, &p->v,
               count);
  }
  for (size_t i = 0; i < count; i++) {
    if (p->gh) memcpy(p->gh + (range.first + i) * size, dh + i * width, size * sizeof *dh);
    if (p->gc) memcpy(p->gc + (range.first + i) * size, beside + i * width, size * sizeof *dh);
  }
}

void sm_recurrent_backward(real *ga, real *gr, real *gh, real *gc, const real *gy, const real *gc_last, const real *y,
                           const real *gates, const real *kept, const real *v, const real *h, const real *c,
                           void *scratch, const sm_recurrence *of) {
  if (of->batch == 0 || of->size == 0) return;
  pass work = {.of = *of, .y = (real *)y, .gates = (real *)gates, .kept = (real *)kept, .h = h, .c = c, .ga = ga,
               .gr = gr, .gh = gh, .gc = gc, .gy = gy, .gc_last = gc_last};
  start(&work, scratch, v, true);
  sm_compute(work.chunks, elements_of(of), backward_chunk, &work);
}

static void shift_sequence(const void *work, size_t i) {
  const pass *p = work;
  const size_t size = p->of.size, row = p->of.steps * size;
  real *before = p->ga + i * row;
  const real *y = p->y + i * row;
  real *first = before + step_of(&p->of, 0) * size;
  if (p->of.reverse) memcpy(before, y + size, (row - size) * sizeof *y);
  else memcpy(before + size, y, (row - size) * sizeof *y);
  if (p->h) memcpy(first, p->h + i * size, size * sizeof *y);
  else memset(first, 0, size * sizeof *y);
}

void sm_recurrent_last(real *last, const real *x, const sm_recurrence *of) {
  for (size_t i = 0; i < of->batch; i++)
    memcpy(last + i * of->size, x + (i * of->steps + step_of(of, of->steps - 1)) * of->size, of->size * sizeof *x);
}

void sm_recurrent_before(real *before, const real *y, const real *h, const sm_recurrence *of) {
  if (of->steps == 0 || of->size == 0) return;
  sm_compute(of->batch, of->batch * of->steps * of->size, shift_sequence,
              &(pass){.of = *of, .ga = before, .y = (real *)y, .h = h});
}
