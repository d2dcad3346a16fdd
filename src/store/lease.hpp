// One job at a time writes a store: the holder of STORE.d/lease. A file created exclusively, never HDF5's or
// the file system's locks, which network file systems lack or break.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

namespace hydrajob {

class Lease {
 public:
  // So long a wait outlives any lease whose job is gone.
  static constexpr double sure_wait_s = 75;

  // Takes the lease, waiting up to `wait_s` while another job holds it. A lease whose process is dead (in
  // this host's and container's sight) or whose heartbeat is older than a minute (elsewhere) is taken over.
  // Throws StoreError that names the holder.
  Lease(const std::filesystem::path& folder, double wait_s);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // Whether this job still holds it: another may have taken it over while this process was stopped for long.
  // Puts it back where it is gone and nobody else's stands there. Throws StoreError.
  bool held() const;
  // Whether a heartbeat found it another job's.
  bool lost() const { return lost_; }

 private:
  bool take();
  void beat();

  std::filesystem::path path_;
  std::string owner_;  // the file's text
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;  // under mutex_
  std::atomic<bool> lost_ = false;
  std::thread heartbeat_;
};

}  // namespace hydrajob
