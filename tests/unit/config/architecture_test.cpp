// Architectures: read, written, refused; and every file of configs/models.
#include "config/architecture.hpp"

#include <gtest/gtest.h>

#include "unit/config/failure.hpp"

namespace hydrajob {
namespace {

const std::string small =
    "name: small\nn_layers: 2\nhidden: 64\nn_heads: 4\nintermediate: 96\nvocab: 100\nmax_positions: 128\n";

Architecture parse(const std::string& yaml) {
  return parse_architecture(yaml, "models/m.yaml");
}
std::string refusal(const std::string& yaml) {
  return failure([&] { parse(yaml); });
}

TEST(Architecture, FillsInWhatFollowsFromTheRest) {
  const Architecture a = parse(small);
  EXPECT_EQ(a.n_kv_heads, 4);
  EXPECT_EQ(a.head_dim, 16);
  EXPECT_EQ(a.rope_theta, 10000.0);
  EXPECT_EQ(a.rope_scaling.kind, RopeScaling::Kind::none);
  EXPECT_FALSE(a.tied_embeddings);
}

TEST(Architecture, ReadsWhatItWrites) {
  Architecture a = parse(small + "n_kv_heads: 2\nhead_dim: 24\ntied_embeddings: true\nrms_eps: 1.0e-6\n");
  EXPECT_EQ(parse(to_yaml(a)), a);
  a.rope_scaling = {RopeScaling::Kind::linear, 4.0, 1.0, 4.0, 8192};
  EXPECT_EQ(parse(to_yaml(a)), a);
  a.rope_scaling = {RopeScaling::Kind::llama3, 8.0, 1.0, 4.5, 4096};
  a.rope_theta = 1.0 / 3.0;
  EXPECT_EQ(parse(to_yaml(a)), a);
  a.name = "it's '${HJ_NO_SUCH}'";
  EXPECT_EQ(parse(to_yaml(a)), a);
}

TEST(Architecture, SaysWhatIsWrong) {
  EXPECT_EQ(refusal(small + "n_layer: 2\n"),
            "models/m.yaml:8:1: unknown key 'n_layer': did you mean 'n_layers'?");
  EXPECT_EQ(refusal("n_layers: 2\n"), "models/m.yaml:1:1: 'hidden' is missing");
  EXPECT_EQ(refusal("n_layers: 2\nhiden: 3\n"),
            "models/m.yaml:2:1: unknown key 'hiden': did you mean 'hidden'?");
  EXPECT_EQ(refusal("n_layers: -1\n"),
            "models/m.yaml:1:11: n_layers: '-1': expected a whole number, 1 or more");
  EXPECT_EQ(refusal(small + "n_kv_heads: 3\n"),
            "models/m.yaml:8:13: n_kv_heads: 3 does not divide n_heads 4");
  EXPECT_EQ(refusal(small + "head_dim: 15\n"),
            "models/m.yaml:8:11: head_dim: 15 is odd: rotary embeddings need pairs");
  EXPECT_EQ(refusal(small + "tied_embeddings: yes\n"),
            "models/m.yaml:8:18: tied_embeddings: 'yes': expected true or false");
  EXPECT_EQ(refusal(small + "rope_scaling: {kind: linar}\n"),
            "models/m.yaml:8:22: unknown kind 'linar': did you mean 'linear'?");
  EXPECT_EQ(refusal(small + "rope_scaling: {kind: linear}\n"), "models/m.yaml:8:15: 'factor' is missing");
  EXPECT_EQ(refusal(small + "rope_scaling: 4\n"), "models/m.yaml:8:15: rope_scaling: '4': expected a map");
  EXPECT_EQ(refusal(small + "eos_id: 100\n"),
            "models/m.yaml:8:9: bos_id 1 and eos_id 100 must lie below vocab 100");
  EXPECT_EQ(refusal(small + "rms_eps: 0\n"), "models/m.yaml:8:10: rms_eps: '0': expected a number above 0");
}

TEST(Models, AreWhatTheyAreNamed) {
  int n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(HJ_SOURCE_DIR "/configs/models")) {
    const Architecture a = load_architecture(entry.path());
    EXPECT_EQ(a.name, entry.path().stem().string());
    EXPECT_EQ(parse(to_yaml(a)), a);
    ++n;
  }
  EXPECT_EQ(n, 10);
}

}  // namespace
}  // namespace hydrajob
