#include "store/dying_writer.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <poll.h>
#include <random>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/digest.hpp"

namespace hydrajob::test {
namespace {

constexpr int patience_ms = 60000;

// The number of the next start, from what the store knows; 0 where the run is done.
std::int32_t next_attempt(const Store& store, const std::string& id) {
  std::int32_t last = 0;
  if (const auto found = store.committed().find(id); found != store.committed().end()) {
    if (found->second.status == RunStatus::ok) return 0;
    last = found->second.attempt;
  }
  if (const auto found = store.in_flight().find(id); found != store.in_flight().end()) {
    last = std::max(last, found->second.attempt);
  }
  return last + 1;
}

SampleSeries make_series(std::mt19937_64& random, const std::string& phase) {
  SampleSeries series{phase, "s", false, {}, {}, {}, {}};
  const int n = static_cast<int>(random() % 40) + 1;
  for (int i = 0; i < n; ++i) {
    series.value.push_back(static_cast<double>(random()) * 1e-20);
    series.rank.push_back(i % 2);
    series.iteration.push_back(i / 2);
    series.step.push_back(0);
  }
  return series;
}

}  // namespace

std::string run_id(int number) {
  return digest128(fmt::format("run {}", number));
}

RunRecord make_record(int number, std::int32_t attempt) {
  std::mt19937_64 random(static_cast<unsigned>(number) * 1000U + static_cast<unsigned>(attempt));
  RunRecord record;
  record.run_id = run_id(number);
  record.attempt = attempt;
  record.experiment = "kill";
  record.parameters = {{"number", std::int64_t{number}}, {"mode", number % 2 == 0 ? "paged" : "hydragen"}};
  if (number % 3 == 0) record.parameters["third"] = 0.5 * number;
  record.config_text = fmt::format("name: kill{}\n", number % 4);
  record.environment = "{}";
  record.started_unix_s = number;
  record.finished_unix_s = number + 0.5;
  record.metrics["wall_s"] = {0.5, "s", "the run whole"};
  if (number % 7 == 3 && attempt == 1) {
    record.status = RunStatus::failed;
    record.reason = "on purpose";
    return record;
  }
  record.metrics["total.median"] = {static_cast<double>(random()), "s", "median"};
  record.samples = {make_series(random, "prefill"), make_series(random, "total")};
  return record;
}

void Promises::tell(Promise::Kind kind, int number, std::int32_t attempt) const {
  const Promise promise{kind, number, attempt};
  if (::write(fd_, &promise, sizeof promise) != sizeof promise)
    throw std::runtime_error("the pipe is closed");
}

DyingWriter::DyingWriter(const std::function<void(const Promises&)>& work) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("no process");
  if (pid_ == 0) {
    ::close(ends[0]);
    int code = 0;
    try {
      work(Promises(ends[1]));
    } catch (const std::exception& e) {
      std::fprintf(stderr, "writer: %s\n", e.what());
      code = 1;
    }
    ::_exit(code);
  }
  ::close(ends[1]);
  fd_ = ends[0];
}

DyingWriter::~DyingWriter() {
  if (pid_ > 0) {
    kill();
    wait();
  }
  ::close(fd_);
}

std::optional<Promise> DyingWriter::next() {
  pollfd wanted{fd_, POLLIN, 0};
  if (::poll(&wanted, 1, patience_ms) <= 0) throw std::runtime_error("the writer hangs");
  Promise promise;
  // A pipe keeps writes of this size whole.
  if (::read(fd_, &promise, sizeof promise) != sizeof promise) return std::nullopt;
  return promise;
}

void DyingWriter::kill() {
  ::kill(pid_, SIGKILL);
}

int DyingWriter::wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

bool do_run(Store& store, const std::filesystem::path& path, const Promises& promises, int number) {
  const std::int32_t attempt = next_attempt(store, run_id(number));
  if (attempt == 0) return false;
  const RunRecord record = make_record(number, attempt);
  store.started(record.run_id, attempt, 0);
  promises.tell(Promise::Kind::started, number, attempt);
  commit_segment(path, record);
  promises.tell(Promise::Kind::committed, number, attempt);
  store.finished(record.run_id, attempt, record.status);
  return true;
}

void abandon_run(Store& store, const Promises& promises, int number) {
  const std::int32_t attempt = next_attempt(store, run_id(number));
  if (attempt == 0) return;
  store.started(run_id(number), attempt, 0);
  promises.tell(Promise::Kind::started, number, attempt);
  // Before the call: whether it got through is not promised.
  promises.tell(Promise::Kind::abandoned, number, attempt);
  store.abandoned(run_id(number), attempt);
}

}  // namespace hydrajob::test
