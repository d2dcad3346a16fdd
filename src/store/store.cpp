#include "store/store.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "store/journal.hpp"
#include "store/lease.hpp"
#include "store/sealed_file.hpp"
#include "store/store_file.hpp"

namespace hydrajob {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr int most_looks = 5;
constexpr auto between_looks = 1s;
constexpr std::size_t runs_to_checkpoint = 500;
constexpr auto time_to_checkpoint = 10min;
constexpr int share_of_checkpoints = 20;  // one part of the time

std::vector<RunHead> runs_in(const std::filesystem::path& store) {
  return is_there(store) ? read_run_heads(store) : std::vector<RunHead>();
}

// What is no store gets no folder beside it.
std::filesystem::path make_folder(const std::filesystem::path& store) {
  if (!is_there(store_folder(store))) runs_in(store);
  make_lasting_folder(segment_folder(store));
  return store_folder(store);
}

std::string journal_name() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return fmt::format("journal-{:020}-{}.log",
                     std::chrono::duration_cast<std::chrono::microseconds>(now).count(), ::getpid());
}

bool same_runs(const std::vector<RunRecord>& records, const std::vector<RunHead>& heads) {
  if (records.size() != heads.size()) return false;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const bool same = records[i].run_id == heads[i].run_id && records[i].attempt == heads[i].attempt &&
                      records[i].status == heads[i].status;
    if (!same) return false;
  }
  return true;
}

}  // namespace

class Store::Impl {
 public:
  Impl(const std::filesystem::path& path, double wait_s)
      : path_(path),
        lease_(make_folder(path), wait_s),
        in_file_(runs_in(path)),
        journal_(store_folder(path) / journal_name()) {
    remove_leftovers();
    note(in_file_);
    for_each_segment([this](const auto& segment) {
      for (const RunRecord& run : read_segment(segment)) {
        note({{run.run_id, run.attempt, run.status}});
        unmerged_.insert(run.run_id);
      }
    });
    replay_journals();
    journal_.append({"opened", "", 0, path_.string()});
  }

  const std::map<std::string, CommittedRun>& committed() const { return committed_; }
  const std::map<std::string, InFlightRun>& in_flight() const { return in_flight_; }

  // Never waits for a compaction, which may take longer than a launcher that ends the job leaves.
  void append(const JournalEvent& event) {
    const std::lock_guard lock(journal_mutex_);
    journal_.append(event);
  }

  void started(const std::string& run_id, std::int32_t attempt, std::int32_t group) {
    const std::lock_guard lock(mutex_);
    // Before hours are spent on what compact() would have to leave to the other.
    if (lease_.lost()) fail_taken_over();
    append({"started", run_id, attempt, "group " + std::to_string(group)});
  }

  void finished(const std::string& run_id, std::int32_t attempt, RunStatus status) {
    const std::lock_guard lock(mutex_);
    append({"finished", run_id, attempt, to_string(status)});
    note({{run_id, attempt, status}});
    if (merged_early_.erase(run_id) == 0) unmerged_.insert(run_id);
    in_flight_.erase(run_id);
  }

  // Files are read and written without mutex_: meanwhile runs begin and finish.
  void compact() {
    const std::lock_guard one_at_a_time(compaction_mutex_);
    const auto begin = Clock::now();
    merge_segments();
    remove_old_journals();
    const std::lock_guard lock(mutex_);
    compacted_ = Clock::now();
    compaction_took_ = compacted_ - begin;
  }

  void checkpoint() {
    {
      const std::lock_guard lock(mutex_);
      if (unmerged_.empty()) return;
      const auto since = Clock::now() - compacted_;
      const bool many =
          unmerged_.size() >= runs_to_checkpoint && since >= share_of_checkpoints * compaction_took_;
      if (!many && since < time_to_checkpoint) return;
    }
    try {
      compact();
    } catch (...) {
      // Not again after every run: it may have taken long, and what hindered it may stay.
      const std::lock_guard lock(mutex_);
      compacted_ = Clock::now();
      compaction_took_ =
          std::max<Clock::duration>(compaction_took_, time_to_checkpoint / share_of_checkpoints);
      throw;
    }
  }

 private:
  void note(const std::vector<RunHead>& heads) {
    for (const RunHead& head : heads) {
      const auto [at, fresh] = committed_.try_emplace(head.run_id, CommittedRun{head.status, head.attempt});
      if (fresh) continue;
      CommittedRun& run = at->second;
      if (run.status != RunStatus::ok) run.status = head.status;  // ok beats every other
      run.attempt = std::max(run.attempt, head.attempt);
    }
  }

  void merge_segments() {
    std::vector<RunRecord> fresh;
    const auto segments = read_unmerged(fresh);
    if (segments.empty()) return;
    std::vector<RunRecord> records;
    if (is_there(path_)) records = read_store_file(path_);
    std::vector<std::string> merged;
    for (const RunRecord& record : fresh) merged.push_back(record.run_id);
    append_by_start(records, std::move(fresh));
    replace_file(preferred_attempts(std::move(records)));
    note_merged(merged);
    std::error_code none;  // a segment that stays is absorbed once more, by the next compaction
    for (const auto& segment : segments) std::filesystem::remove(segment, none);
  }

  void note_merged(const std::vector<std::string>& run_ids) {
    const std::lock_guard lock(mutex_);
    for (const std::string& id : run_ids) {
      if (unmerged_.erase(id) == 0) merged_early_.insert(id);
    }
  }

  std::set<std::string> unmerged() const {
    const std::lock_guard lock(mutex_);
    return unmerged_;
  }

  // All segments, and what is in them. A run that was committed must be there: a network file system may show
  // a file that another node renamed only some seconds later.
  std::vector<std::filesystem::path> read_unmerged(std::vector<RunRecord>& records) const {
    const std::set<std::string> committed = unmerged();
    for (int look = 1;; ++look) {
      records.clear();
      const auto segments = for_each_segment([&](const auto& segment) {
        for (RunRecord& record : read_segment(segment)) records.push_back(std::move(record));
      });
      std::set<std::string> missing = committed;
      for (const RunRecord& record : records) missing.erase(record.run_id);
      if (missing.empty()) return segments;
      if (look == most_looks) {
        throw StoreError(fmt::format("{}: {} committed runs are missing, {} among them; the old store stays",
                                     segment_folder(path_).string(), missing.size(), *missing.begin()));
      }
      std::this_thread::sleep_for(between_looks);
    }
  }

  // Reads every segment; returns those that can be read. A damaged one is moved aside, said, and left for a
  // person: it is never deleted.
  template <class Read>
  std::vector<std::filesystem::path> for_each_segment(const Read& read) const {
    std::vector<std::filesystem::path> usable;
    for (const auto& segment : segments_of(path_)) {
      try {
        read(segment);
        usable.push_back(segment);
      } catch (const StoreIoError&) {
        throw;  // no memory, no descriptors, a disk that fails: the segment may be as good as ever
      } catch (const StoreError& e) {
        move_aside(segment, e.what());
      }
    }
    return usable;
  }

  static std::filesystem::path unused_name(const std::filesystem::path& wanted) {
    std::filesystem::path name = wanted;
    for (int i = 2; std::filesystem::exists(name); ++i) name = wanted.string() + '.' + std::to_string(i);
    return name;
  }

  void move_aside(const std::filesystem::path& segment, const char* why) const {
    const auto aside = store_folder(path_) / "damaged";
    std::error_code error;
    std::filesystem::create_directories(aside, error);
    if (!error) std::filesystem::rename(segment, unused_name(aside / segment.filename()), error);
    if (error)
      throw StoreError(fmt::format("{}; cannot be moved to {}: {}", why, aside.string(), error.message()));
    log::warning(fmt::format("{}; moved to {}", why, aside.string()));
  }

  // Half-written files of processes that died. Segments of live group leaders have other names at this moment
  // only if another job runs, and the lease says that none does.
  void remove_leftovers() const {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(segment_folder(path_), none)) {
      if (entry.path().filename().string().find(".tmp.") != std::string::npos)
        std::filesystem::remove(entry, none);
    }
    const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
    for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
      if (entry.path().filename().string().starts_with(path_.filename().string() + ".tmp.")) {
        std::filesystem::remove(entry, none);
      }
    }
  }

  // Every start without an end is a crash; a run that was committed since is none any more.
  void replay_journals() {
    for (const auto& path : journals_in(store_folder(path_))) {
      if (path == journal_.path()) continue;
      std::map<std::string, std::int32_t> open;
      for (const JournalEvent& event : read_journal(path)) {
        if (event.kind == "started") open[event.run_id] = event.attempt;
        if (event.kind == "finished" || event.kind == "abandoned") open.erase(event.run_id);
      }
      for (const auto& [run_id, attempt] : open) {
        const auto done = committed_.find(run_id);
        if (done != committed_.end() && done->second.attempt >= attempt) continue;
        InFlightRun& run = in_flight_[run_id];
        run.attempt = std::max(run.attempt, attempt);
        ++run.crashes;
      }
    }
  }

  [[noreturn]] void fail_taken_over() const {
    throw StoreError(path_.string() + ": another job has taken the store over");
  }

  void replace_file(const std::vector<RunRecord>& records) {
    const std::filesystem::path temporary = path_.string() + ".tmp." + std::to_string(::getpid());
    std::error_code none;
    try {
      write_store_file(temporary, records);
      if (!same_runs(records, read_run_heads(temporary))) {
        throw StoreError(temporary.string() + ": does not read back as it was written; the old store stays");
      }
      if (!lease_.held()) fail_taken_over();
      publish_file(temporary, path_);
    } catch (...) {
      std::filesystem::remove(temporary, none);
      throw;
    }
  }

  // Journals of ended jobs say nothing more once no run of theirs is in flight.
  void remove_old_journals() const {
    {
      const std::lock_guard lock(mutex_);
      if (!in_flight_.empty()) return;
    }
    if (!lease_.held()) fail_taken_over();  // another job's journal is among them
    for (const auto& path : journals_in(store_folder(path_))) {
      if (path != journal_.path()) std::filesystem::remove(path);
    }
  }

  std::filesystem::path path_;
  Lease lease_;
  std::vector<RunHead> in_file_;  // when the store was opened; read before a journal is begun
  Journal journal_;
  std::map<std::string, CommittedRun> committed_;
  std::map<std::string, InFlightRun> in_flight_;
  std::set<std::string> unmerged_;      // committed, and not in the file yet
  std::set<std::string> merged_early_;  // in the file, and finished() still to be called
  Clock::time_point compacted_ = Clock::now();
  Clock::duration compaction_took_{};
  // Taken in this order.
  std::mutex compaction_mutex_;
  mutable std::mutex mutex_;  // everything above but the journal, once the constructor is done
  std::mutex journal_mutex_;
};

Store::Store(const std::filesystem::path& path, double wait_s)
    : impl_(std::make_unique<Impl>(path, wait_s)) {}
Store::~Store() = default;

const std::map<std::string, CommittedRun>& Store::committed() const {
  return impl_->committed();
}
const std::map<std::string, InFlightRun>& Store::in_flight() const {
  return impl_->in_flight();
}

void Store::started(const std::string& run_id, std::int32_t attempt, std::int32_t group) {
  impl_->started(run_id, attempt, group);
}
void Store::finished(const std::string& run_id, std::int32_t attempt, RunStatus status) {
  impl_->finished(run_id, attempt, status);
}
void Store::abandoned(const std::string& run_id, std::int32_t attempt) {
  impl_->append({"abandoned", run_id, attempt, ""});
}
void Store::event(const std::string& text) {
  impl_->append({"note", "", 0, text});
}
void Store::compact() {
  impl_->compact();
}
void Store::checkpoint() {
  impl_->checkpoint();
}

}  // namespace hydrajob
