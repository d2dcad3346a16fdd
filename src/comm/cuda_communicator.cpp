#include "comm/cuda_communicator.hpp"

#include <chrono>
#include <cstdlib>
#include <exception>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "base/units.hpp"
#include "comm/launcher.hpp"
#include "device/cuda_stream.hpp"

namespace hydrajob {
namespace {

constexpr std::chrono::milliseconds between_looks{500};

// `comm` null: the failure has none yet.
std::string text_of(ncclResult_t status, ncclComm_t comm) {
  const char* more = ncclGetLastError(comm);
  const std::string detail = more == nullptr || *more == '\0' ? "" : fmt::format(": {}", more);
  return fmt::format("{}{}", ncclGetErrorString(status), detail);
}

void check_nccl(ncclResult_t status, const char* call, ncclComm_t comm) {
  if (status == ncclSuccess) return;
  throw RunError(fmt::format("NCCL: {}: {}", call, text_of(status, comm)));
}

ncclDataType_t type_of(DType dtype) {
  return dtype == DType::f32 ? ncclFloat32 : dtype == DType::bf16 ? ncclBfloat16 : ncclFloat16;
}

}  // namespace

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "NCCL";
  return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

CudaCommunicator::CudaCommunicator(std::shared_ptr<Communicator> host, Device& device)
    : host_(std::move(host)), device_(device) {
  std::string error;
  try {
    connect();
    watcher_ = std::thread([this] { watch(); });
  } catch (const std::exception& e) {
    error = fmt::format("rank {} of the group: {}", host_->rank(), e.what());
  }
  const std::string first = agree_on_error(*host_, error);
  if (first.empty()) return;
  stop_watching();
  if (nccl_ != nullptr) ncclCommAbort(nccl_);
  throw RunError(first);
}

CudaCommunicator::~CudaCommunicator() {
  stop_watching();
  if (std::uncaught_exceptions() > 0) {  // the peers may never come, and may still use what is shared
    shared_.release();
    ncclCommAbort(nccl_);
    return;
  }
  unshare();
  ncclCommDestroy(nccl_);
}

std::vector<void*> CudaCommunicator::peer_memory(std::size_t bytes) {
  if (bytes >= refused_bytes_) return {};
  if (!shared_ || shared_->bytes() < bytes) {
    unshare();
    std::string error;
    try {
      share(bytes);
    } catch (const std::exception& e) {
      error = fmt::format("rank {} of the group: {}", host_->rank(), e.what());
    }
    const std::string first = agree_on_error(*host_, error);
    if (!first.empty()) {
      if (host_->rank() == 0) {
        log::warning(fmt::format("{} are not shared by GPUs, NCCL adds up instead: {}",
                                 format_bytes(static_cast<double>(bytes)), first));
      }
      unshare();
      refused_bytes_ = bytes;
    }
  }
  std::vector<void*> memory;
  if (!shared_) return memory;
  for (const auto& buffer : opened_) memory.push_back(buffer ? buffer->data() : shared_->data());
  return memory;
}

// Each rank goes through the same collectives, whatever it fails at.
void CudaCommunicator::share(std::size_t bytes) {
  std::string handle;
  std::exception_ptr failure;
  try {
    shared_ = device_.allocate_for_peers(bytes);
    if (!shared_) throw RunError(device_.name() + " has no memory that it can share");
    const std::vector<std::byte> zeros(bytes);
    device_.copy_to_device(shared_->data(), zeros.data(), bytes);
    device_.synchronize();
    handle = host_name() + "\n" + device_.peer_handle(*shared_);
  } catch (...) {
    failure = std::current_exception();
  }
  const std::vector<std::string> handles = host_->all_gather(handle);
  if (failure) std::rethrow_exception(failure);
  for (int r = 0; r < host_->size(); ++r) {
    const std::string& theirs = handles[static_cast<std::size_t>(r)];
    const std::size_t end = theirs.find('\n');
    if (r == host_->rank()) {
      opened_.push_back(nullptr);
    } else if (end == std::string::npos) {
      throw RunError(fmt::format("rank {} has none to share", r));
    } else if (theirs.substr(0, end) != host_name()) {
      throw RunError(fmt::format("rank {} is on another node", r));
    } else {
      opened_.push_back(device_.open_peer(theirs.substr(end + 1), bytes));
    }
  }
}

// Nobody closes or frees memory that a kernel of this rank or of a peer may still use.
void CudaCommunicator::unshare() {
  try {
    device_.synchronize();
  } catch (const std::exception&) {  // a GPU that is of no use any more uses nothing
  }
  host_->barrier();
  opened_.clear();
  host_->barrier();
  shared_.reset();
}

void CudaCommunicator::connect() {
  ncclUniqueId id{};
  std::string error;
  if (host_->rank() == 0) {
    const ncclResult_t status = ncclGetUniqueId(&id);
    if (status != ncclSuccess) error = "NCCL: ncclGetUniqueId: " + text_of(status, nullptr);
  }
  // Or the others would wait for a rank that never comes.
  const std::string first = agree_on_error(*host_, error);
  if (!first.empty()) throw RunError(first);
  host_->broadcast(&id, sizeof id, 0);
  check_nccl(ncclCommInitRank(&nccl_, host_->size(), id, host_->rank()), "ncclCommInitRank", nullptr);
}

void CudaCommunicator::stop_watching() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  done_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void CudaCommunicator::watch() {
  std::unique_lock lock(mutex_);
  while (!done_.wait_for(lock, between_looks, [this] { return ends_; })) {
    ncclResult_t status = ncclSuccess;
    if (ncclCommGetAsyncError(nccl_, &status) != ncclSuccess) continue;
    if (status == ncclSuccess || status == ncclInProgress) continue;
    log::error(fmt::format("rank {} of the group: NCCL: {}: the group cannot go on", host_->rank(),
                           text_of(status, nccl_)));
    host_->abort(static_cast<int>(lost_job_code()));
  }
}

void CudaCommunicator::all_reduce_sum(void* data, std::int64_t n, DType dtype, Stream& stream) {
  check_nccl(ncclAllReduce(data, data, static_cast<std::size_t>(n), type_of(dtype), ncclSum, nccl_,
                           cuda_stream(stream)),
             "ncclAllReduce", nccl_);
}

void CudaCommunicator::all_reduce_sum(std::uint64_t* data, std::int64_t n, Stream& stream) {
  check_nccl(
      ncclAllReduce(data, data, static_cast<std::size_t>(n), ncclUint64, ncclSum, nccl_, cuda_stream(stream)),
      "ncclAllReduce", nccl_);
}

void CudaCommunicator::all_reduce_max(float* data, std::int64_t n, Stream& stream) {
  check_nccl(ncclAllReduce(data, data, static_cast<std::size_t>(n), ncclFloat32, ncclMax, nccl_,
                           cuda_stream(stream)),
             "ncclAllReduce", nccl_);
}

void CudaCommunicator::all_gather(const void* in, void* out, std::size_t bytes, Stream& stream) {
  check_nccl(ncclAllGather(in, out, bytes, ncclInt8, nccl_, cuda_stream(stream)), "ncclAllGather", nccl_);
}

void CudaCommunicator::abort(int exit_code) {
  host_->abort(exit_code);
  std::_Exit(exit_code);  // what the compiler cannot know
}

}  // namespace hydrajob
