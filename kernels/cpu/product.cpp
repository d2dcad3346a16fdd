#include "kernels/cpu/product.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "kernels/cpu/onednn.hpp"

namespace hydrajob::cpu {
namespace {

// A run uses two numbers of rows, a prefill chunk and a batch, and the ends of prompts a few more.
constexpr std::size_t most_prepared = 32;

// oneDNN's preferred form. On AVX-512 it is the same for every number of rows from 1 to 512 (measured
// with 2.6.3: all products within 3 % of a primitive made for that number alone), so one copy serves prefill
// and decode.
dnnl::memory::desc preferred_weight_desc(const dnnl::engine& engine, const ProductShape& shape) {
  const auto type = data_type_of(shape.dtype);
  const dnnl::memory::desc any({shape.in, shape.out}, type, dnnl::memory::format_tag::any);
  return describe_matmul(engine, shape.expected_rows, shape.in, shape.out, type, any,
                         dnnl::memory::data_type::f32)
      .weights_desc();
}

std::string as_text(const ProductShape& shape, std::int64_t rows) {
  return fmt::format("{} x {} x {} in {}", rows, shape.in, shape.out, name_of(shape.dtype));
}

}  // namespace

Product::Product(const dnnl::engine& engine, const ProductShape& shape)
    : engine_(engine), shape_(shape), weight_desc_(preferred_weight_desc(engine, shape)) {}

const Product::Prepared& Product::prepared(std::int64_t rows, DType y_dtype, bool add) {
  for (auto it = recent_.begin(); it != recent_.end(); ++it) {
    if (it->rows != rows || it->y_dtype != y_dtype || it->add != add) continue;
    recent_.splice(recent_.begin(), recent_, it);
    return recent_.front();
  }
  recent_.push_front(prepare(rows, y_dtype, add));
  if (recent_.size() > most_prepared) recent_.pop_back();
  return recent_.front();
}

Product::Prepared Product::prepare(std::int64_t rows, DType y_dtype, bool add) const {
  const MatmulDesc desc = describe_matmul(engine_, rows, shape_.in, shape_.out, data_type_of(shape_.dtype),
                                          weight_desc_, data_type_of(y_dtype), add);
  const std::string implementation = desc.impl_info_str();
  if (is_reference(implementation)) {
    log::warning(fmt::format("oneDNN has no fast product for {} (it uses {}): expect low speed",
                             as_text(shape_, rows), implementation));
  }
  return {rows, y_dtype, add, dnnl::matmul(desc), desc.src_desc(), desc.dst_desc(), desc.scratchpad_desc()};
}

OneDnnWeight::OneDnnWeight(std::shared_ptr<Product> product, const void* weight, WeightLayout layout,
                           const dnnl::engine& engine, dnnl::stream& stream)
    : product_(std::move(product)), memory_(product_->weight_desc().get_size()) {
  using Tag = dnnl::memory::format_tag;
  const ProductShape& shape = product_->shape();
  const dnnl::memory::desc plain({shape.in, shape.out}, data_type_of(shape.dtype),
                                 layout == WeightLayout::in_out ? Tag::ab : Tag::ba);
  dnnl::memory source(plain, engine, const_cast<void*>(weight));  // only read
  dnnl::memory target(product_->weight_desc(), engine, memory_.data());
  dnnl::reorder(source, target).execute(stream, source, target);
  stream.wait();
}

}  // namespace hydrajob::cpu
