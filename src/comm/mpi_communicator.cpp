#include "comm/mpi_communicator.hpp"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>

#include "base/exit_code.hpp"
#include "comm/launcher.hpp"
#include "comm/short_float_sum.hpp"

namespace hydrajob {
namespace {

// MPI 3 counts are int: longer data goes in pieces. A whole number of any element, well below INT_MAX.
constexpr std::size_t chunk_bytes = std::size_t{1} << 30;
static_assert(chunk_bytes <= INT_MAX);

// Calls body(offset, count) over [0, bytes) in pieces.
template <class Body>
void in_chunks(std::size_t bytes, const Body& body) {
  for (std::size_t at = 0; at < bytes; at += chunk_bytes) {
    body(at, static_cast<int>(std::min(chunk_bytes, bytes - at)));
  }
}

std::string receive_matched(MPI_Message& message, const MPI_Status& status) {
  int count = 0;
  HJ_MPI(MPI_Get_count(&status, MPI_BYTE, &count));
  std::string bytes(static_cast<std::size_t>(count), '\0');
  HJ_MPI(MPI_Mrecv(bytes.data(), count, MPI_BYTE, &message, MPI_STATUS_IGNORE));
  return bytes;
}

template <class T>
void add_for_mpi(void* in, void* inout, int* n, MPI_Datatype*) {
  add(static_cast<const T*>(in), static_cast<T*>(inout), *n);
}

int free_op(MPI_Comm, int, void* op, void*) {
  return MPI_Op_free(static_cast<MPI_Op*>(op));
}

// Attributes of MPI_COMM_SELF are deleted first in MPI_Finalize: the place to free what lives as long as MPI.
template <class T>
MPI_Op make_sum_op() {
  static MPI_Op op = MPI_OP_NULL;
  HJ_MPI(MPI_Op_create(add_for_mpi<T>, /*commute=*/1, &op));
  int key = MPI_KEYVAL_INVALID;
  HJ_MPI(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, free_op, &key, nullptr));
  HJ_MPI(MPI_Comm_set_attr(MPI_COMM_SELF, key, &op));
  HJ_MPI(MPI_Comm_free_keyval(&key));
  return op;
}

}  // namespace

void check_mpi(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  int rank = -1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(status, text, &length);
  std::fprintf(stderr, "[rank %d] error: %s: %s\n", rank, call, text);
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(lost_job_code()));
  std::abort();
}

MPI_Op sum_op_of_short_floats(DType dtype) {
  if (dtype == DType::bf16) {
    static const MPI_Op bf16 = make_sum_op<Bf16>();
    return bf16;
  }
  static const MPI_Op f16 = make_sum_op<F16>();
  return f16;
}

MpiCommunicator::MpiCommunicator(MPI_Comm comm, Ownership ownership) : comm_(comm), ownership_(ownership) {
  HJ_MPI(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN));
  HJ_MPI(MPI_Comm_rank(comm_, &rank_));
  HJ_MPI(MPI_Comm_size(comm_, &size_));
}

MpiCommunicator::~MpiCommunicator() {
  if (ownership_ == Ownership::owned) MPI_Comm_free(&comm_);
}

void MpiCommunicator::barrier() {
  HJ_MPI(MPI_Barrier(comm_));
}

void MpiCommunicator::broadcast(void* data, std::size_t bytes, int root) {
  in_chunks(bytes, [&](std::size_t at, int count) {
    HJ_MPI(MPI_Bcast(static_cast<char*>(data) + at, count, MPI_BYTE, root, comm_));
  });
}

double MpiCommunicator::reduce(double value, MPI_Op op) {
  double result = 0;
  HJ_MPI(MPI_Allreduce(&value, &result, 1, MPI_DOUBLE, op, comm_));
  return result;
}

std::vector<std::int64_t> MpiCommunicator::all_sizes(std::size_t mine) {
  const auto size = static_cast<std::int64_t>(mine);
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(size_));
  HJ_MPI(MPI_Allgather(&size, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, comm_));
  return sizes;
}

std::vector<std::string> MpiCommunicator::all_gather(const std::string& bytes) {
  const std::vector<std::int64_t> sizes = all_sizes(bytes.size());
  std::vector<std::string> parts(sizes.size());
  for (int r = 0; r < size_; ++r) {
    std::string& part = parts[static_cast<std::size_t>(r)];
    part =
        r == rank_ ? bytes : std::string(static_cast<std::size_t>(sizes[static_cast<std::size_t>(r)]), '\0');
    broadcast(part.data(), part.size(), r);
  }
  return parts;
}

std::unique_ptr<Communicator> MpiCommunicator::split(int colour) {
  MPI_Comm part = MPI_COMM_NULL;
  HJ_MPI(MPI_Comm_split(comm_, colour, rank_, &part));
  return std::make_unique<MpiCommunicator>(part, Ownership::owned);
}

std::unique_ptr<Communicator> MpiCommunicator::split_node() {
  MPI_Comm node = MPI_COMM_NULL;
  HJ_MPI(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node));
  return std::make_unique<MpiCommunicator>(node, Ownership::owned);
}

void MpiCommunicator::send(const std::string& bytes, int to, int tag) {
  if (bytes.size() > chunk_bytes) {
    std::fprintf(stderr, "[rank %d] error: message of %zu bytes, at most %zu\n", rank_, bytes.size(),
                 chunk_bytes);
    abort(static_cast<int>(ExitCode::runs_failed));
  }
  HJ_MPI(MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, tag, comm_));
}

// Matched probes: two threads that ask for the same tag never take each other's message.
std::string MpiCommunicator::receive(int from, int tag) {
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  HJ_MPI(MPI_Mprobe(from, tag, comm_, &message, &status));
  return receive_matched(message, status);
}

std::optional<std::pair<int, std::string>> MpiCommunicator::try_receive(int tag) {
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  int arrived = 0;
  HJ_MPI(MPI_Improbe(MPI_ANY_SOURCE, tag, comm_, &arrived, &message, &status));
  if (!arrived) return std::nullopt;
  const int from = status.MPI_SOURCE;
  return std::pair{from, receive_matched(message, status)};
}

void MpiCommunicator::reduce_chunks(void* data, std::int64_t n, std::size_t element_bytes, MPI_Datatype type,
                                    MPI_Op op) {
  in_chunks(static_cast<std::size_t>(n) * element_bytes, [&](std::size_t at, int bytes) {
    HJ_MPI(MPI_Allreduce(MPI_IN_PLACE, static_cast<char*>(data) + at, bytes / static_cast<int>(element_bytes),
                         type, op, comm_));
  });
}

// "MPI requires that all processes from the same group participating in these operations receive identical
// results" (MPI 4.0, section 6.9.6): both operations are commutative to the bit, so Open MPI's algorithms
// keep to it.
void MpiCommunicator::all_reduce_sum(void* data, std::int64_t n, DType dtype, Stream&) {
  if (dtype == DType::f32) {
    reduce_chunks(data, n, size_of(dtype), MPI_FLOAT, MPI_SUM);
  } else {
    reduce_chunks(data, n, size_of(dtype), MPI_UINT16_T, sum_op_of_short_floats(dtype));
  }
}

void MpiCommunicator::all_reduce_sum(std::uint64_t* data, std::int64_t n, Stream&) {
  reduce_chunks(data, n, sizeof *data, MPI_UINT64_T, MPI_SUM);
}

void MpiCommunicator::all_reduce_max(float* data, std::int64_t n, Stream&) {
  reduce_chunks(data, n, sizeof *data, MPI_FLOAT, MPI_MAX);
}

void MpiCommunicator::all_gather(const void* in, void* out, std::size_t bytes, Stream&) {
  in_chunks(bytes, [&](std::size_t at, int count) {
    // Rank r's piece belongs at r * bytes + at: a type of `count` bytes that is repeated every `bytes`.
    MPI_Datatype piece = MPI_DATATYPE_NULL;
    MPI_Datatype spaced = MPI_DATATYPE_NULL;
    HJ_MPI(MPI_Type_contiguous(count, MPI_BYTE, &piece));
    HJ_MPI(MPI_Type_create_resized(piece, 0, static_cast<MPI_Aint>(bytes), &spaced));
    HJ_MPI(MPI_Type_commit(&spaced));
    HJ_MPI(MPI_Allgather(static_cast<const char*>(in) + at, count, MPI_BYTE, static_cast<char*>(out) + at, 1,
                         spaced, comm_));
    HJ_MPI(MPI_Type_free(&spaced));
    HJ_MPI(MPI_Type_free(&piece));
  });
}

void MpiCommunicator::abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace hydrajob
