// Runs CUDA C text on a CPU: one fiber per CUDA thread, real barriers, real warp shuffles, real shared memory.
//
// Blocks run one after the other. Within a block every thread is a fiber; a fiber gives up control where it waits
// (__syncthreads, a warp operation) and a scheduler resumes those that may go on. What a GPU leaves undefined is
// reported instead of guessed: threads of one block waiting at different barriers, a warp operation that a lane never
// reaches. CUDA_EMULATOR_ORDER=forward|reverse|random varies the order in which fibers run between two barriers, so
// that a kernel with a missing barrier gives different results. There is no model of weak memory order.
//
// Compile with: g++ -x c++ -std=c++17 -include cuda_emulator.h kernel.cu -shared -fPIC
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#define CUDA_EMULATOR 1
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __restrict__

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace emulator {

enum class State { runnable, at_barrier, at_warp_operation, finished };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  State state = State::runnable;
  int line = 0;       // of the barrier or warp operation that it waits at
  unsigned mask = 0;  // of that warp operation
  dim3 thread_index;
  unsigned shuffles = 0;  // parity selects the exchange buffer
};

struct Warp {
  uint64_t exchange[2][32];
};

constexpr size_t STACK_BYTES = 64 * 1024;

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  ucontext_t scheduler;
  size_t current = 0;
  const std::function<void()>* kernel = nullptr;
  std::string error;
  std::mt19937 random{1};
};

inline Block& block() {
  static Block instance;
  return instance;
}

inline dim3& grid_dimension() { static dim3 value; return value; }
inline dim3& block_dimension() { static dim3 value; return value; }
inline dim3& block_index() { static dim3 value; return value; }
inline dim3& thread_index() { return block().fibers[block().current].thread_index; }

inline void run_fiber() {
  Block& b = block();
  (*b.kernel)();
  b.fibers[b.current].state = State::finished;
  swapcontext(&b.fibers[b.current].context, &b.scheduler);
}

inline void wait(State state, int line, unsigned mask) {
  Block& b = block();
  Fiber& fiber = b.fibers[b.current];
  fiber.state = state;
  fiber.line = line;
  fiber.mask = mask;
  swapcontext(&fiber.context, &b.scheduler);
}

inline void barrier(int line) { wait(State::at_barrier, line, 0); }

template <class T>
T shuffle_xor(unsigned mask, T value, int offset, int line) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most eight bytes");
  Block& b = block();
  size_t lane = b.current % 32, warp = b.current / 32;
  unsigned parity = b.fibers[b.current].shuffles++ & 1;
  memcpy(&b.warps[warp].exchange[parity][lane], &value, sizeof(T));
  wait(State::at_warp_operation, line, mask);
  T result;
  memcpy(&result, &block().warps[warp].exchange[parity][lane ^ offset], sizeof(T));
  return result;
}

// Resumes the lanes of each warp whose operation every named lane has reached. True where any could go on.
inline bool release_warps(Block& b) {
  bool released = false;
  for (size_t start = 0; start < b.fibers.size(); start += 32) {
    size_t stop = std::min(start + 32, b.fibers.size());
    bool complete = true;
    unsigned waiting = 0, named = 0;
    int line = 0;
    for (size_t i = start; i < stop; i++) {
      Fiber& fiber = b.fibers[i];
      if (fiber.state != State::at_warp_operation) continue;
      waiting |= 1u << (i - start);
      named |= fiber.mask;
      if (line && line != fiber.line) complete = false;
      line = fiber.line;
    }
    if (!waiting || !complete || named != waiting) continue;  // a named lane must exist, and come here
    for (size_t i = start; i < stop; i++)
      if (b.fibers[i].state == State::at_warp_operation) b.fibers[i].state = State::runnable;
    released = true;
  }
  return released;
}

// Resumes the whole block where every unfinished thread waits at the same barrier.
inline bool release_barrier(Block& b) {
  int line = 0;
  for (Fiber& fiber : b.fibers) {
    if (fiber.state == State::finished) continue;
    if (fiber.state != State::at_barrier) return false;
    if (line && fiber.line != line) {
      b.error = "threads of one block wait at different barriers, lines " + std::to_string(line) + " and " +
                std::to_string(fiber.line);
      return false;
    }
    line = fiber.line;
  }
  for (Fiber& fiber : b.fibers)
    if (fiber.state == State::at_barrier) fiber.state = State::runnable;
  return line != 0;
}

inline std::vector<size_t> fiber_order(Block& b) {
  std::vector<size_t> order(b.fibers.size());
  std::iota(order.begin(), order.end(), 0);
  const char* wish = getenv("CUDA_EMULATOR_ORDER");
  if (wish && !strcmp(wish, "reverse")) std::reverse(order.begin(), order.end());
  if (wish && !strcmp(wish, "random")) std::shuffle(order.begin(), order.end(), b.random);
  return order;
}

inline void start_fibers(Block& b, dim3 dimension) {
  size_t count = size_t(dimension.x) * dimension.y * dimension.z;
  if (b.fibers.size() != count) {
    b.fibers = std::vector<Fiber>(count);
    for (Fiber& fiber : b.fibers) fiber.stack.reset(new char[STACK_BYTES]);
  }
  b.warps.assign((count + 31) / 32, Warp{});
  for (size_t i = 0; i < count; i++) {
    Fiber& fiber = b.fibers[i];
    fiber.state = State::runnable;
    fiber.shuffles = 0;
    fiber.thread_index = dim3(i % dimension.x, i / dimension.x % dimension.y, i / dimension.x / dimension.y);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = STACK_BYTES;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run_fiber, 0);
  }
}

inline bool run_block(dim3 dimension, const std::function<void()>& kernel) {
  Block& b = block();
  b.kernel = &kernel;
  b.error.clear();
  start_fibers(b, dimension);
  for (;;) {
    bool finished = true, progressed = false;
    for (size_t i : fiber_order(b)) {
      if (b.fibers[i].state == State::runnable) {
        b.current = i;
        swapcontext(&b.scheduler, &b.fibers[i].context);
        progressed = true;
      }
      finished = finished && b.fibers[i].state == State::finished;
    }
    if (finished) return true;
    if (release_warps(b) || release_barrier(b) || progressed) continue;
    if (b.error.empty()) b.error = "no thread can go on: a barrier or warp operation that some thread never reaches";
    return false;
  }
}

// Null on success, else what went wrong (valid until the next launch).
inline const char* launch(const unsigned* grid, const unsigned* threads, const std::function<void()>& kernel) {
  grid_dimension() = dim3(grid[0], grid[1], grid[2]);
  block_dimension() = dim3(threads[0], threads[1], threads[2]);
  for (unsigned z = 0; z < grid[2]; z++)
    for (unsigned y = 0; y < grid[1]; y++)
      for (unsigned x = 0; x < grid[0]; x++) {
        block_index() = dim3(x, y, z);
        if (!run_block(block_dimension(), kernel)) return block().error.c_str();
      }
  return nullptr;
}

}  // namespace emulator

#define threadIdx (emulator::thread_index())
#define blockIdx (emulator::block_index())
#define blockDim (emulator::block_dimension())
#define gridDim (emulator::grid_dimension())
#define __syncthreads() emulator::barrier(__LINE__)
#define __shfl_xor_sync(mask, value, offset) emulator::shuffle_xor(mask, value, offset, __LINE__)

template <class T>
T atomicAdd(T* address, T value) {
  T old = *address;
  *address = old + value;
  return old;
}
