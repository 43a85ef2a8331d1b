#include "plumbline/base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#if PLUMBLINE_STD_THREADS
#else
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#endif

namespace plumbline::base {
namespace {

constexpr std::size_t kBlock = 1024;
std::atomic<int> g_threads{0};

int hardware_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

template <class T>
double block_sum(std::span<const T> values) {
  double sum = 0;
  for (const T v : values) sum += static_cast<double>(v);
  return sum;
}

double pairwise(std::span<const double> sums) {
  if (sums.empty()) return 0;
  if (sums.size() == 1) return sums[0];
  const std::size_t half = sums.size() / 2;
  return pairwise(sums.first(half)) + pairwise(sums.subspan(half));
}

template <class T>
double ordered_sum_impl(std::span<const T> values) {
  std::vector<double> sums;
  sums.reserve(values.size() / kBlock + 1);
  for (std::size_t i = 0; i < values.size(); i += kBlock) {
    sums.push_back(block_sum(values.subspan(i, std::min(kBlock, values.size() - i))));
  }
  return pairwise(sums);
}

#if PLUMBLINE_STD_THREADS
void run_tasks(std::size_t count, const std::function<void(std::size_t)>& task) {
  std::atomic<std::size_t> next{0};
  auto loop = [&] {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(i);
  };
  const std::size_t helpers = std::min<std::size_t>(static_cast<std::size_t>(threads()), count);
  std::vector<std::thread> pool;
  for (std::size_t i = 1; i < helpers; ++i) pool.emplace_back(loop);
  loop();
  for (std::thread& thread : pool) thread.join();
}
#else
void run_tasks(std::size_t count, const std::function<void(std::size_t)>& task) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads()));
  tbb::parallel_for(
      tbb::blocked_range<std::size_t>(0, count, 1),
      [&](const tbb::blocked_range<std::size_t>& range) {
        for (std::size_t i = range.begin(); i != range.end(); ++i) task(i);
      },
      tbb::simple_partitioner());
}
#endif

}  // namespace

void set_threads(int threads) { g_threads = threads; }

int threads() {
  const int asked = g_threads.load();
  return asked > 0 ? asked : hardware_threads();
}

Status parallel_for(std::size_t count, const std::function<Status(std::size_t)>& body, const CancelToken& cancel) {
  std::mutex mutex;
  std::optional<Error> first;
  std::size_t first_index = count;
  std::atomic<bool> stop{false};
  run_tasks(count, [&](std::size_t i) {
    // A lower index than the failing one still runs, so that the error returned does not depend on timing.
    if (stop.load(std::memory_order_relaxed)) {
      const std::lock_guard lock(mutex);
      if (i > first_index) return;
    }
    if (cancel.cancelled()) return;
    Status status = body(i);
    if (status.ok()) return;
    const std::lock_guard lock(mutex);
    if (i < first_index) {
      first_index = i;
      first = status.error();
    }
    stop.store(true, std::memory_order_relaxed);
  });
  if (first) return *first;
  return cancel.status();
}

double ordered_sum(std::span<const double> values) { return ordered_sum_impl(values); }
double ordered_sum(std::span<const float> values) { return ordered_sum_impl(values); }

double ordered_sum(std::size_t count, const std::function<double(std::size_t)>& term) {
  std::vector<double> sums((count + kBlock - 1) / kBlock, 0.0);
  run_tasks(sums.size(), [&](std::size_t b) {
    const std::size_t end = std::min(count, (b + 1) * kBlock);
    double sum = 0;
    for (std::size_t i = b * kBlock; i < end; ++i) sum += term(i);
    sums[b] = sum;
  });
  return pairwise(sums);
}

double ordered_mean(std::span<const double> values) {
  ensure(!values.empty(), "ordered_mean of nothing");
  return ordered_sum(values) / static_cast<double>(values.size());
}

}  // namespace plumbline::base
