// Damaged, truncated and foreign files are refused with one line that names the file, and never crash the
// reader.
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/hdf5_handle.hpp"
#include "store/store_file.hpp"
#include "store/table.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/store/file_records.hpp"

namespace hydrajob {
namespace {

using hdf5::Handle;
using test::describe;
using test::small_record;

constexpr std::size_t seal_bytes = 32;

class StoreDamage : public ::testing::Test {
 protected:
  StoreDamage()
      : seed_(std::random_device{}()), random_(seed_), records_(test::RandomRecords(seed_).records(4)) {
    write_store_file(path_, records_);
    whole_ = read_file(path_);
    expected_ = describe(read_store_file(path_));
  }

  void put(const std::string& bytes) { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }

  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }

  // The message, empty when it was read.
  std::string refusal() {
    try {
      const auto records = read_store_file(path_);
      EXPECT_EQ(describe(records), expected_) << "read, but with other values";
      return {};
    } catch (const StoreError& e) {
      return e.what();
    }
  }

  void expect_refused(const std::string& what = {}) {
    const std::string message = refusal();
    EXPECT_EQ(message.find(path_.string() + ": "), 0U) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  }

  unsigned seed_;
  std::mt19937_64 random_;
  std::vector<RunRecord> records_;
  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "x.h5";
  std::string whole_, expected_;
};

TEST_F(StoreDamage, a_truncated_file_is_refused_at_every_length) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  const std::size_t content = whole_.size() - seal_bytes;
  std::vector<std::size_t> lengths{0, 1, 7, 8, 31, 32, 95, 96, 512, content - 1};
  for (int i = 0; i < 300; ++i) lengths.push_back(below(content));
  for (const std::size_t length : lengths) {
    SCOPED_TRACE("length " + std::to_string(length));
    put(whole_.substr(0, length));
    expect_refused();
  }
}

TEST_F(StoreDamage, a_cut_off_digest_loses_no_run) {
  for (std::size_t cut = 1; cut <= seal_bytes; ++cut) {
    put(whole_.substr(0, whole_.size() - cut));
    EXPECT_EQ(refusal(), "") << cut << " bytes cut off";
  }
}

TEST_F(StoreDamage, a_flipped_bit_anywhere_is_found) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  for (int i = 0; i < 1000; ++i) {
    const std::size_t at = below(whole_.size() - seal_bytes);
    std::string bytes = whole_;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
    put(bytes);
    SCOPED_TRACE("byte " + std::to_string(at));
    expect_refused("damaged");
  }
}

TEST_F(StoreDamage, overwritten_blocks_are_found) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  for (int i = 0; i < 200; ++i) {
    std::string bytes = whole_;
    const std::size_t at = below(bytes.size() - seal_bytes),
                      n = std::min<std::size_t>(512, bytes.size() - seal_bytes - at);
    for (std::size_t k = 0; k < n; ++k) bytes[at + k] = static_cast<char>(~bytes[at + k]);
    put(bytes);
    expect_refused("damaged");
  }
}

TEST_F(StoreDamage, heads_of_a_damaged_file_are_refused_too) {
  whole_[whole_.size() / 2] = static_cast<char>(~whole_[whole_.size() / 2]);
  put(whole_);
  EXPECT_THROW(read_run_heads(path_), StoreError);
}

TEST_F(StoreDamage, files_of_other_kinds_are_refused) {
  put("name: a configuration\n");
  expect_refused("not a readable HDF5 file");
  put("");
  expect_refused("empty");
  std::filesystem::remove(path_);
  expect_refused("no such store");
  std::filesystem::create_directory(path_);
  expect_refused();
}

// What another program may have made of a store.
class StoreForeign : public StoreDamage {
 protected:
  StoreForeign() {
    records_ = {small_record(std::string(32, 'a')), small_record(std::string(32, 'b'))};
    hdf5::silence_hdf5();
  }

  void edit(const std::function<void(hid_t file)>& change) {
    write_store_file(path_, records_);
    const Handle file(H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    ASSERT_TRUE(file.valid());
    change(file);
  }

  void replace(const std::string& group_name, const Column& column) {
    edit([&](hid_t file) {
      const Handle group(H5Gopen2(file, group_name.c_str(), H5P_DEFAULT), H5Gclose);
      H5Ldelete(group, column.name.c_str(), H5P_DEFAULT);
      write_column(group, column, path_.string());
    });
  }

  using Ints = std::vector<std::int64_t>;
  using Reals = std::vector<double>;
  using Texts = std::vector<std::string>;
};

TEST_F(StoreForeign, a_change_by_another_program_is_read) {
  expected_.clear();
  replace("runs", {"attempt", "1", "changed", Ints{7, 8}});
  const auto records = read_store_file(path_);
  EXPECT_EQ(records[0].attempt, 7);
  EXPECT_EQ(records[1].attempt, 8);
}

TEST_F(StoreForeign, another_format_or_version_is_refused) {
  edit([](hid_t file) {
    H5Adelete(file, "format");
    write_text_attribute(file, "format", "another");
  });
  expect_refused("attribute format is 'another', expected 'hydrajob-store'");
  edit([](hid_t file) { H5Adelete(file, "format"); });
  expect_refused("expected 'hydrajob-store'");
  edit([](hid_t file) {
    H5Adelete(file, "schema_version");
    write_int_attribute(file, "schema_version", 2);
  });
  expect_refused("schema_version 2, this program reads 1");
}

TEST_F(StoreForeign, missing_parts_are_named) {
  for (const char* name :
       {"run", "run_id", "attempt", "status", "reason", "convergence", "experiment", "group", "first_rank",
        "started_unix_s", "finished_unix_s", "config", "environment"}) {
    edit([&](hid_t file) { H5Ldelete(file, (std::string("runs/") + name).c_str(), H5P_DEFAULT); });
    expect_refused(name);
  }
  for (const char* name : {"value", "run", "rank", "iteration", "step", "warmup"}) {
    edit([&](hid_t file) {
      H5Ldelete(file, (std::string("samples/decode_step/") + name).c_str(), H5P_DEFAULT);
    });
    expect_refused(name);
  }
  for (const char* name : {"runs", "samples", "configs", "environments"}) {
    edit([&](hid_t file) { H5Ldelete(file, name, H5P_DEFAULT); });
    expect_refused(name);
  }
}

TEST_F(StoreForeign, columns_of_other_lengths_are_refused) {
  replace("runs", {"attempt", "1", "", Ints{1}});
  expect_refused("attempt has 1 values, expected 2");
  replace("samples/decode_step", {"rank", "1", "", Ints{1, 2, 3}});
  expect_refused("rank has 3 values, expected 4");
  replace("samples/decode_step", {"sm_clock_mhz", "MHz", "", Reals(3, 1755)});
  expect_refused("sm_clock_mhz has 3 values, expected 4");
}

TEST_F(StoreForeign, columns_of_other_types_are_refused) {
  replace("runs", {"status", "1", "", Ints{0, 0}});
  expect_refused("status holds another type, expected strings");
  replace("runs", {"attempt", "1", "", Texts{"1", "2"}});
  expect_refused("attempt holds another type, expected integers");
  replace("samples/decode_step", {"value", "s", "", Texts(4, "1")});
  expect_refused("value holds another type");
  replace("samples/decode_step", {"sm_clock_mhz", "MHz", "", Ints(4, 1755)});
  expect_refused("sm_clock_mhz holds another type, expected floating-point numbers");
  replace("samples/decode_step", {"throttle_reasons", "1", "", Reals(4, 0)});
  expect_refused("throttle_reasons holds another type, expected integers");
}

TEST_F(StoreForeign, values_outside_their_range_are_refused) {
  replace("runs", {"status", "1", "", Texts{"ok", "fine"}});
  expect_refused("status 'fine': expected ok, failed");
  replace("runs", {"config", "1", "", Ints{0, 1}});
  expect_refused("/runs/config points at text 1 of 1");
  replace("runs", {"environment", "1", "", Ints{-1, 0}});
  expect_refused("/runs/environment points at text -1 of 1");
  replace("samples/decode_step", {"run", "1", "", Ints{0, 0, 1, 2}});
  expect_refused("run points at run 2 of 2");
}

}  // namespace
}  // namespace hydrajob
