#include "store/store_file.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <map>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <hdf5_hl.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/hdf5_handle.hpp"
#include "store/run_columns.hpp"
#include "store/sealed_file.hpp"
#include "store/segment.hpp"
#include "store/table.hpp"

namespace hydrajob {
namespace {

using hdf5::Handle;

constexpr const char* format_name = "hydrajob-store";
constexpr std::int64_t schema_version = 1;
constexpr std::size_t image_growth = 256 * 1024;

// Files are built and read in memory: a hundred small datasets would be thousands of small reads and writes,
// and neither HDF5's locks nor its handling of a full disk plays a part.
Handle memory_access() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access, image_growth, 0);
  return access;
}

// HDF5 wants a name of each open file, its own and not on disk.
std::string memory_name() {
  static std::atomic<std::uint64_t> next{0};
  return fmt::format("hydrajob-memory-{}-{}", ::getpid(), next++);
}

std::vector<char> image_of(hid_t file, const std::string& where) {
  const ssize_t bytes = H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file, nullptr, 0);
  std::vector<char> image(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
  if (bytes < 0 || H5Fget_file_image(file, image.data(), image.size()) < 0) {
    throw StoreError(where + ": cannot be built: " + hdf5::hdf5_error());
  }
  return image;
}

Handle make_group(hid_t file, const std::string& name, const std::string& where) {
  Handle group(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (!group.valid()) throw StoreError(where + ": cannot create /" + name + ": " + hdf5::hdf5_error());
  return group;
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// Every column of /runs has `run` as its scale: xarray and other readers know then that they belong together.
void attach_scales(hid_t runs, const std::vector<Column>& columns, const std::string& where) {
  const Handle scale(H5Dopen2(runs, "run", H5P_DEFAULT), H5Dclose);
  if (H5DSset_scale(scale, "run") < 0) throw StoreError(where + ": /runs/run: " + hdf5::hdf5_error());
  for (const Column& column : columns) {
    if (column.name == "run") continue;
    const Handle dataset(H5Dopen2(runs, column.name.c_str(), H5P_DEFAULT), H5Dclose);
    if (H5DSattach_scale(dataset, scale, 0) < 0) {
      throw StoreError(where + ": /runs/" + column.name + ": " + hdf5::hdf5_error());
    }
  }
}

void write_texts(hid_t file, const char* group_name, const char* what, const std::vector<std::string>& texts,
                 const std::string& where) {
  const Handle group = make_group(file, group_name, where);
  write_column(group, Column{"text", "1", what, texts}, where);
}

void write_tables(hid_t file, const StoreTables& tables, const std::string& where) {
  write_text_attribute(file, "format", format_name);
  write_int_attribute(file, "schema_version", schema_version);
  write_text_attribute(file, "hydrajob_version", HJ_VERSION);
  write_text_attribute(file, "created_utc", now_utc());
  const Handle runs = make_group(file, "runs", where);
  for (const Column& column : tables.runs) write_column(runs, column, where);
  attach_scales(runs, tables.runs, where);
  const Handle samples = make_group(file, "samples", where);
  for (const auto& [phase, columns] : tables.samples) {
    const Handle group = make_group(samples, phase, where);
    for (const Column& column : columns) write_column(group, column, where);
  }
  write_texts(file, "configs", "a resolved configuration, YAML", tables.configs, where);
  write_texts(file, "environments", "where and with what runs were made, JSON", tables.environments, where);
}

// An opened store, its format checked.
class Input {
 public:
  explicit Input(const std::filesystem::path& path) : where_(path.string()) {
    hdf5::silence_hdf5();
    if (!is_there(path)) throw StoreError(where_ + ": there is no such store");
    std::vector<char> image = read_sealed(path);
    const Handle access = memory_access();
    if (!image.empty()) {  // HDF5 would take an empty image for none, and open the path
      H5Pset_file_image(access, image.data(), image.size());
      file_ = Handle(H5Fopen(memory_name().c_str(), H5F_ACC_RDONLY, access), H5Fclose);
    }
    if (!file_.valid()) {
      throw StoreError(where_ +
                       ": not a readable HDF5 file: " + (image.empty() ? "it is empty" : hdf5::hdf5_error()));
    }
    file_bytes_ = image.size();
    const std::string format = read_text_attribute(file_, "format");
    if (format != format_name) {
      throw StoreError(fmt::format("{}: not a store: attribute format is '{}', expected '{}'", where_, format,
                                   format_name));
    }
    check_version();
  }

  std::vector<Column> columns(const std::string& group_name) const {
    const Handle group = open(group_name);
    std::vector<Column> columns;
    for (const std::string& name : names_in(group))
      columns.push_back(read_column(group, name, where_, file_bytes_));
    return columns;
  }

  Column column(const std::string& group_name, const std::string& name) const {
    return read_column(open(group_name), name, where_, file_bytes_);
  }

  std::vector<std::string> names(const std::string& group_name) const { return names_in(open(group_name)); }

  const std::string& where() const { return where_; }

 private:
  Handle open(const std::string& group_name) const {
    Handle group(H5Gopen2(file_, group_name.c_str(), H5P_DEFAULT), H5Gclose);
    if (!group.valid()) throw StoreError(where_ + ": no group /" + group_name + ": " + hdf5::hdf5_error());
    return group;
  }

  void check_version() const {
    const Handle attribute(H5Aopen(file_, "schema_version", H5P_DEFAULT), H5Aclose);
    std::int64_t version = 0;
    if (!attribute.valid() || H5Aread(attribute, H5T_NATIVE_INT64, &version) < 0) {
      throw StoreError(where_ + ": attribute schema_version cannot be read");
    }
    if (version != schema_version) {
      throw StoreError(
          fmt::format("{}: schema_version {}, this program reads {}", where_, version, schema_version));
    }
  }

  std::string where_;
  Handle file_;
  std::size_t file_bytes_ = 0;
};

template <class T>
std::vector<T> values_of(const Input& input, const std::string& group, const std::string& name) {
  Column column = input.column(group, name);
  auto* values = std::get_if<std::vector<T>>(&column.values);
  if (values == nullptr) throw StoreError(input.where() + ": /" + group + "/" + name + " holds another type");
  return std::move(*values);
}

}  // namespace

void write_store_file(const std::filesystem::path& path, const std::vector<RunRecord>& records) {
  hdf5::silence_hdf5();
  const std::string where = path.string();
  const Handle access = memory_access();
  const Handle file(H5Fcreate(memory_name().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
  if (!file.valid()) throw StoreError(where + ": cannot be built: " + hdf5::hdf5_error());
  write_tables(file, to_tables(records), where);
  write_sealed(path, image_of(file, where));
}

std::vector<RunRecord> read_store_file(const std::filesystem::path& path) {
  const Input input(path);
  StoreTables tables;
  tables.runs = input.columns("runs");
  for (const std::string& phase : input.names("samples"))
    tables.samples[phase] = input.columns("samples/" + phase);
  tables.configs = values_of<std::string>(input, "configs", "text");
  tables.environments = values_of<std::string>(input, "environments", "text");
  return to_records(tables, input.where());
}

std::vector<RunHead> read_run_heads(const std::filesystem::path& path) {
  const Input input(path);
  const auto ids = values_of<std::string>(input, "runs", "run_id");
  const auto attempts = values_of<std::int64_t>(input, "runs", "attempt");
  const auto statuses = values_of<std::string>(input, "runs", "status");
  if (attempts.size() != ids.size() || statuses.size() != ids.size()) {
    throw StoreError(input.where() + ": /runs: run_id, attempt and status are of unequal length");
  }
  std::vector<RunHead> heads;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    heads.push_back({ids[i], static_cast<std::int32_t>(attempts[i]), parse_run_status(statuses[i])});
  }
  return heads;
}

std::vector<RunRecord> preferred_attempts(std::vector<RunRecord> records) {
  std::vector<RunRecord> kept;
  std::map<std::string, std::size_t> place;
  for (RunRecord& record : records) {
    const auto [at, fresh] = place.emplace(record.run_id, kept.size());
    if (fresh) {
      kept.push_back(std::move(record));
      continue;
    }
    RunRecord& rival = kept[at->second];
    const bool ok = record.status == RunStatus::ok;
    const bool rival_ok = rival.status == RunStatus::ok;
    if (ok != rival_ok ? ok : record.attempt >= rival.attempt) rival = std::move(record);
  }
  return kept;
}

// Segments first: a job may compact meanwhile, and a segment that is gone is in the file that is read then.
std::vector<RunRecord> read_store(const std::filesystem::path& store) {
  std::vector<RunRecord> fresh;
  const auto segments = segments_of(store);
  for (const auto& segment : segments) {
    try {
      for (RunRecord& record : read_segment(segment)) fresh.push_back(std::move(record));
    } catch (const StoreError&) {
      if (std::filesystem::exists(segment)) throw;
    }
  }
  std::vector<RunRecord> records;
  if (is_there(store)) {
    records = read_store_file(store);
  } else if (segments.empty()) {
    throw StoreError(store.string() + ": there is no such store");
  }
  append_by_start(records, std::move(fresh));
  return preferred_attempts(std::move(records));
}

void append_by_start(std::vector<RunRecord>& records, std::vector<RunRecord> fresh) {
  std::stable_sort(fresh.begin(), fresh.end(), [](const RunRecord& a, const RunRecord& b) {
    return a.started_unix_s < b.started_unix_s;
  });
  std::move(fresh.begin(), fresh.end(), std::back_inserter(records));
}

}  // namespace hydrajob
