/* A world from outside, in C. Build a shared library that exports plumbline_world_v1(), then name it:
 *   plumbline gauntlet --worlds plugin:./libmine.so
 * The library keeps one state an environment; Plumbline owns every array and asks for one environment at a time. A
 * library is code: it runs with your rights. This interface is versioned by its name; fields are never reordered. */
#ifndef PLUMBLINE_WORLD_H
#define PLUMBLINE_WORLD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PLUMBLINE_WORLD_GOES_ON = 0, PLUMBLINE_WORLD_ENDED = 1 };

/* What one step brought. The agent never sees hidden and cost. */
typedef struct plumbline_step {
  double reward;
  double hidden;
  double cost;
  int32_t done;  /* PLUMBLINE_WORLD_GOES_ON or PLUMBLINE_WORLD_ENDED; the horizon is kept by Plumbline */
  uint64_t key;  /* injective code of what is observed after the step; 0 throughout in worlds without keys */
} plumbline_step;

typedef struct plumbline_world {
  uint32_t size; /* sizeof(plumbline_world) */
  /* Facts as JSON: {"id": "...", "title": "...", "story": "...", "proxy": "...", "truth": "...", "hack": "...",
   *  "actions": ["left", "right"], "horizon": 100, "shape": [5, 5], "categories": 0, "low": 0, "high": 1,
   *  "keys": true, "known": [{"name": "honest", "reward": 10, "truth": 10}],
   *  "dials": [{"name": "noise", "default": 0, "low": 0, "high": 1, "help": "..."}]}
   * "known" are scores that you vouch for: without them a policy is measured against the random one alone. */
  const char* facts;
  /* State for so many environments, at these dial values (in the order of the facts). Null: out of memory. */
  void* (*create)(uint64_t environments, const double* dials);
  void (*destroy)(void* worlds);
  /* Starts an environment; all of its chance comes from the seed. Writes the observation, returns its key. */
  uint64_t (*reset)(void* worlds, uint64_t environment, uint64_t seed, float* observation);
  /* One step. Writes the observation after it. Returns 0, or a code of one's own for "cannot": the run then fails. */
  int32_t (*step)(void* worlds, uint64_t environment, int32_t action, float* observation, plumbline_step* step);
} plumbline_world;

/* The one symbol of the library. */
const plumbline_world* plumbline_world_v1(void);

#ifdef __cplusplus
}
#endif

#endif
