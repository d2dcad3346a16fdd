// Files that are not model files, or not as their architecture says: one message, with what was found and
// what was expected.
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <hdf5.h>

#include "store/hdf5_handle.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/weights/models.hpp"

namespace hydrajob {
namespace {

using hdf5::Handle;

class Foreign : public ::testing::Test {
 protected:
  Foreign() : path_(folder_.path() / "model.h5") {}

  std::string message() const {
    const std::string full = failure([&] { open_model_file(path_, 1); });
    const std::string place = path_.string() + ": ";
    return full.starts_with(place) ? full.substr(place.size()) : full;
  }

  // A proper model file, then changed.
  std::string message_after(const std::function<void(hid_t file)>& change, DType dtype = DType::bf16) const {
    std::filesystem::remove(path_);  // what is no model is not replaced
    write_model_file(path_, *make_random_weights(test::grouped_model(), 1, 1), dtype);
    {
      const Handle file(H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
      change(file);
    }
    return message();
  }

  static void set_text(hid_t file, const char* object, const char* name, const std::string& value) {
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type, value.size());
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    H5Adelete_by_name(file, object, name, H5P_DEFAULT);
    const Handle attribute(
        H5Acreate_by_name(file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    ASSERT_GE(H5Awrite(attribute, type, value.data()), 0);
  }

  static void set_number(hid_t file, const char* object, const char* name, std::int64_t value) {
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    H5Adelete_by_name(file, object, name, H5P_DEFAULT);
    const Handle attribute(
        H5Acreate_by_name(file, object, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
        H5Aclose);
    ASSERT_GE(H5Awrite(attribute, H5T_NATIVE_INT64, &value), 0);
  }

  static void replace_embedding(hid_t file, const std::vector<hsize_t>& dims, hid_t type, hid_t creation) {
    H5Ldelete(file, "tensors/embedding", H5P_DEFAULT);
    const Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
    const Handle dataset(
        H5Dcreate2(file, "tensors/embedding", type, space, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose);
    set_text(file, "tensors/embedding", "dtype", "bf16");
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_;
};

TEST_F(Foreign, FilesAreRefused) {
  EXPECT_EQ(message(), "cannot be opened: No such file or directory");
  std::ofstream(path_) << "";
  EXPECT_EQ(message(), "not a model file: it is empty");
  std::ofstream(path_) << std::string(100000, 'x');
  EXPECT_EQ(message(), "not a model file: it is not HDF5");
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_EQ(message(), "is a folder, expected a model file");
}

TEST_F(Foreign, Hdf5FilesAreRefused) {
  { const Handle file(H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose); }
  EXPECT_EQ(message(), "not a model file: no attribute 'format' (make one with hydrajob make-model)");
  {
    const Handle file(H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    set_text(file, "/", "format", "hydrajob-store");
  }
  EXPECT_EQ(message(), "format is 'hydrajob-store', expected 'hydrajob-model'");
  EXPECT_EQ(message_after([](hid_t file) { set_number(file, "/", "format", 1); }),
            "the file: attribute 'format' is not one fixed-length string");
}

TEST_F(Foreign, OtherVersionsAreRefused) {
  EXPECT_EQ(message_after([](hid_t file) { set_number(file, "/", "version", 2); }),
            "version 2, this program reads version 1");
}

TEST_F(Foreign, AttributesMustBeThereAndFit) {
  EXPECT_EQ(message_after([](hid_t file) { H5Adelete(file, "architecture"); }),
            "the file has no attribute 'architecture'");
  EXPECT_EQ(message_after([](hid_t file) { set_text(file, "/", "dtype", "f64"); }),
            "dtype is 'f64', expected 'f32', 'bf16' or 'f16'");
  EXPECT_EQ(message_after([](hid_t file) { set_text(file, "/", "dtype", "f32"); }),
            "tensor 'embedding' has dtype bf16, the file says f32");
  const std::string bad_yaml =
      message_after([](hid_t file) { set_text(file, "/", "architecture", "hiden: 1"); });
  EXPECT_NE(bad_yaml.find("hiden"), std::string::npos) << bad_yaml;
  EXPECT_NE((path_.string() + bad_yaml).find(path_.string()), std::string::npos);
}

TEST_F(Foreign, ChangedHeadsAreRefused) {
  Architecture other = test::grouped_model();
  other.rope_theta = 20000;
  const std::string changed =
      message_after([&](hid_t file) { set_text(file, "/", "architecture", to_yaml(other)); });
  EXPECT_NE(changed.find("the head was changed"), std::string::npos) << changed;
  other = test::grouped_model();
  other.hidden = 96;
  EXPECT_EQ(message_after([&](hid_t file) { set_text(file, "/", "architecture", to_yaml(other)); }),
            "tensor 'embedding' has shape (301, 48), the architecture says (301, 96)");
}

TEST_F(Foreign, TensorsMustBeThere) {
  EXPECT_EQ(message_after([](hid_t file) { H5Ldelete(file, "tensors/layers.1.mlp.up", H5P_DEFAULT); }),
            "tensor 'layers.1.mlp.up' is missing");
  const std::string none = message_after([](hid_t file) { H5Ldelete(file, "tensors", H5P_DEFAULT); });
  EXPECT_TRUE(none.starts_with("the file's head is damaged: no table of tensors")) << none;
}

TEST_F(Foreign, TensorsMustHaveTheirShapeAndType) {
  const auto replaced = [&](const std::vector<hsize_t>& dims, hid_t type, hid_t creation = H5P_DEFAULT) {
    return message_after([&](hid_t file) { replace_embedding(file, dims, type, creation); });
  };
  EXPECT_EQ(replaced({301, 47}, H5T_STD_U16LE),
            "tensor 'embedding' has shape (301, 47), the architecture says (301, 48)");
  EXPECT_EQ(replaced({301, 48, 1}, H5T_STD_U16LE),
            "tensor 'embedding' has shape (301, 48, 1), the architecture says (301, 48)");
  EXPECT_EQ(replaced({301, 48}, H5T_STD_U16BE),
            "tensor 'embedding' does not hold unsigned 16-bit integers (bf16), little-endian");
  EXPECT_EQ(replaced({301, 48}, H5T_IEEE_F32LE),
            "tensor 'embedding' does not hold unsigned 16-bit integers (bf16), little-endian");
  const Handle chunked(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const hsize_t chunk[2] = {10, 10};
  H5Pset_chunk(chunked, 2, chunk);
  EXPECT_EQ(replaced({301, 48}, H5T_STD_U16LE, chunked),
            "tensor 'embedding' holds no data, or is not contiguous");
}

TEST_F(Foreign, TensorsOfF16MustBeFloatingPointNumbers) {
  const auto bits = [](hid_t file) {
    replace_embedding(file, {301, 48}, H5T_STD_U16LE, H5P_DEFAULT);
    set_text(file, "tensors/embedding", "dtype", "f16");
  };
  EXPECT_EQ(message_after(bits, DType::f16),
            "tensor 'embedding' does not hold 16-bit floating-point numbers, little-endian");
}

TEST_F(Foreign, ChecksumsMustBeThere) {
  EXPECT_EQ(message_after(
                [](hid_t file) { H5Adelete_by_name(file, "tensors/final_norm", "checksums", H5P_DEFAULT); }),
            "tensor 'final_norm' has 0 checksums, expected 1");
  EXPECT_EQ(message_after([](hid_t file) { set_number(file, "tensors/embedding", "checksums", 1); }),
            "tensor 'embedding' has 1 checksums, expected 64");
  EXPECT_EQ(
      message_after([](hid_t file) { set_text(file, "tensors/embedding", "checksum", "0123456789abcdef"); }),
      "tensor 'embedding': its checksums do not match their own checksum");
}

}  // namespace
}  // namespace hydrajob
