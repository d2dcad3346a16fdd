// Expansion: which points there are, in which order, what each run holds, and what is refused.
#include "grid/expand.hpp"

#include <gtest/gtest.h>

#include "unit/grid/support.hpp"

namespace hydrajob {
namespace {

const std::string base = "weights: m.h5\nnew_tokens: 4\n";

std::string points(const std::string& yaml, const std::string& a = "batch", const std::string& b = "prefix") {
  return points_text(runs_of(experiment(base + yaml)), a, b);
}

TEST(Expand, ProductFirstOutermost) {
  EXPECT_EQ(points("batch: [1, 2]\nprefix: [3, 4, 5]\n"), "1/3 1/4 1/5 2/3 2/4 2/5");
  EXPECT_EQ(points("prefix: [3, 4]\nbatch: [1, 2]\n"), "1/3 2/3 1/4 2/4");
}

TEST(Expand, DefaultsAreOutsideBlocks) {
  EXPECT_EQ(points("batch: [1, 2]\nblocks:\n  - prefix: [3, 4]\n  - prefix: 9\n"), "1/3 1/4 2/3 2/4 1/9 2/9");
}

TEST(Expand, ZipsMoveTogether) {
  EXPECT_EQ(points("zip: {batch: [1, 2], prefix: [3, 4]}\n"), "1/3 2/4");
  EXPECT_EQ(
      points("zip: [{batch: [1, 2], prefix: [3, 4]}, {suffix: [5, 6], seed: [7, 8]}]\n", "prefix", "suffix"),
      "3/5 3/6 4/5 4/6");
  EXPECT_EQ(points("suffix: [5, 6]\nzip: {batch: [1, 2], prefix: [3, 4]}\n", "suffix", "batch"),
            "5/1 5/2 6/1 6/2");
}

TEST(Expand, ExcludesPoints) {
  const std::string grid = "batch: [1, 2, 4]\nprefix: [3, 4]\n";
  EXPECT_EQ(points(grid + "exclude: {batch: 2}\n"), "1/3 1/4 4/3 4/4");
  EXPECT_EQ(points(grid + "exclude: {batch: '>= 2', prefix: 4}\n"), "1/3 1/4 2/3 4/3");
  EXPECT_EQ(points(grid + "exclude: [{batch: 2}, {prefix: 4}]\n"), "1/3 4/3");
  EXPECT_EQ(points(grid + "exclude: {batch: '!= 2'}\n"), "2/3 2/4");
  // Of a parameter's default, and of one that the run does not have.
  EXPECT_EQ(points(grid + "exclude: {top_p: 1, batch: [1, 2]}\n"), "4/3 4/4");
  EXPECT_EQ(points(grid + "exclude: {tree: '!= 1x1'}\n"), "1/3 1/4 2/3 2/4 4/3 4/4");
}

TEST(Expand, RulesReplaceValues) {
  const std::string grid = "batch: [1, 8]\nprefix: [3, 4]\n";
  EXPECT_EQ(points(grid + "when: {if: {batch: 8}, set: {iterations: 2}}\n", "batch", "iterations"),
            "1/5 1/5 8/2 8/2");
  // The replaced axis is not multiplied out.
  EXPECT_EQ(points(grid + "when: {if: {batch: 8}, set: {prefix: 9}}\n"), "1/3 1/4 8/9");
  EXPECT_EQ(points(grid + "when: {if: {batch: 8}, set: {prefix: [9, 10, 11]}}\n"), "1/3 1/4 8/9 8/10 8/11");
  EXPECT_EQ(
      points(grid + "when: {if: {batch: 8}, set: {prefix: [9, 10], suffix: [0, 1]}}\n", "prefix", "suffix"),
      "3/0 4/0 9/0 9/1 10/0 10/1");
}

TEST(Expand, RulesSeeWhatEarlierOnesSet) {
  const std::string rules =
      "when:\n  - {if: {batch: 8}, set: {prefix: 16}}\n  - {if: {prefix: '>= 16'}, set: {iterations: 2}}\n";
  EXPECT_EQ(points("batch: [1, 8]\nprefix: [3, 4]\n" + rules, "prefix", "iterations"), "3/5 4/5 16/2");
}

TEST(Expand, RulesOnZips) {
  const std::string zip = "zip: {batch: [1, 2], prefix: [3, 4]}\nmode: [paged, hydragen]\n";
  // One of the zip's parameters: the zip still moves. All of them: it does not.
  EXPECT_EQ(points(zip + "when: {if: {mode: hydragen}, set: {prefix: 7}}\n"), "1/3 2/4 1/7 2/7");
  EXPECT_EQ(points(zip + "when: {if: {mode: hydragen}, set: {prefix: 7, batch: 8}}\n"), "1/3 2/4 8/7");
}

TEST(Expand, RulesMayPutATreeForAPrefix) {
  const auto runs = runs_of(experiment(base + "batch: 4\nmode: [paged, hydragen]\nprefix: [3, 4]\n"
                                              "when: {if: {mode: hydragen}, set: {tree: 1x8/2x1}}\n"));
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[2].prefix, 9);
  EXPECT_EQ(runs[2].parameters.at("tree"), Value(std::string("1x8/2x1")));
}

TEST(Expand, ExcludesSeeWhatRulesSet) {
  EXPECT_EQ(points("batch: [1, 8]\nprefix: [3, 4]\nwhen: {if: {batch: 8}, set: {prefix: 9}}\nexclude: "
                   "{prefix: [4, 9]}\n"),
            "1/3");
}

TEST(Run, OfGenerateHoldsWhatShapesIt) {
  const RunSpec run = runs_of(experiment(base + "prefix: 3\ntemperature: 1\ntimeout: 60\nseed: 9\n")).front();
  EXPECT_EQ(
      to_string(run.parameters),
      "batch=1 device=cpu dtype=bf16 iterations=5 max_iterations=5 mode=hydragen model=small new_tokens=4 "
      "prefill_chunk=512 prefix=3 seed=9 suffix=0 target_ci=0.01 temperature=1 tensor_parallel=1 top_p=1 "
      "warmup=1 weights=m.h5 workload=generate");
  EXPECT_EQ(run.timeout_s, 60);
  EXPECT_EQ(run.seed, 9u);
  EXPECT_EQ(run.architecture, small_architecture());
  EXPECT_EQ(run.tree, (std::vector<TreeLevel>{{1, 3}}));
  EXPECT_EQ(run.experiment, "a");
  EXPECT_NE(run.block.find("configs/a.yaml:1:1"), std::string::npos);
}

TEST(Run, OfAttentionHoldsWhatShapesIt) {
  const RunSpec run =
      runs_of(experiment("workload: attention\nmodel: tiny\nn_heads: 16\nbatch: 4\ntree: 1x8/2x4\n"
                         "suffix: 2\nmax_iterations: 50\nl2: warm\n"))
          .front();
  EXPECT_EQ(to_string(run.parameters),
            "batch=4 device=cpu dtype=bf16 head_dim=32 iterations=5 l2=warm max_iterations=50 mode=hydragen "
            "n_heads=16 "
            "n_kv_heads=4 prefix=12 seed=1 suffix=2 target_ci=0.01 tensor_parallel=1 tree=1x8/2x4 warmup=1 "
            "workload=attention");
  EXPECT_EQ(run.new_tokens, 0);
}

TEST(Run, OfNeedlesHoldsWhatShapesIt) {
  const RunSpec run =
      runs_of(
          experiment("workload: needles\nweights: m.h5\nquestions: 8\nneedles: 20\nprefix: 60\nsuffix: 3\n"))
          .front();
  EXPECT_EQ(to_string(run.parameters),
            "device=cpu dtype=bf16 iterations=5 max_iterations=5 mode=hydragen model=small needles=20 "
            "new_tokens=10 prefill_chunk=512 prefix=60 questions=8 seed=1 suffix=3 target_ci=0.01 "
            "tensor_parallel=1 warmup=1 weights=m.h5 workload=needles");
  EXPECT_EQ(run.batch, 8);
  EXPECT_EQ(run.tree, (std::vector<TreeLevel>{{1, 60}}));
  EXPECT_EQ(run.temperature, 0);
  EXPECT_EQ(run.needles, nullptr);
}

TEST(Run, APlainTreeIsAPrefix) {
  const RunSpec tree = runs_of(experiment(base + "tree: 1x64\n")).front();
  const RunSpec prefix = runs_of(experiment(base + "prefix: 64\n")).front();
  EXPECT_EQ(tree.parameters, prefix.parameters);
}

struct Case {
  const char* yaml;
  const char* message;  // after the configuration's path
};
class Refusals : public testing::TestWithParam<Case> {};

TEST_P(Refusals, NameThePlace) {
  const std::string message = failure([] { runs_of(experiment(GetParam().yaml)); });
  EXPECT_EQ(message, std::string(HJ_SOURCE_DIR "/configs/a.yaml") + GetParam().message);
}

const Case cases[] = {
    {"prefix: 3\nnew_tokens: 4\n", ":1:1: workload generate needs 'model'"},
    {"model: tiny\nprefix: 3\n", ":1:1: workload generate needs 'new_tokens'"},
    {"weights: m.h5\nnew_tokens: 4\n",
     ":1:1: a sequence needs a token to continue: give a prefix, a tree or a suffix"},
    {"weights: no.h5\nnew_tokens: 4\nprefix: 3\n", ":1:10: weights: no.h5: no such file"},
    {"weights: split4\nnew_tokens: 4\nprefix: 3\ntensor_parallel: 2\n",
     ":1:10: weights: split4 is split for tensor_parallel 4, this run has 2"},
    {"model: ./no.yaml\nnew_tokens: 4\nprefix: 3\n", ":1:8: model: there is no file './no.yaml'"},
    {"weights: m.h5\nmodel: tiny\nnew_tokens: 4\nprefix: 3\n",
     ":2:8: model tiny is not what m.h5 holds: n_layers: 2 and n_layers: 4"},
    {"weights: m.h5\nnew_tokens: 4\nprefix: [8, 4090]\nsuffix: 3\n",
     ":3:9: prefix 4090 + suffix 3 + new_tokens 4 = 4097: small has 4096 positions"},
    {"weights: m.h5\nnew_tokens: 4\nprefix: 8\ntensor_parallel: [2, 3]\n",
     ":4:18: small: n_heads 8 is not a multiple of tensor_parallel 3"},
    {"workload: attention\nn_heads: 12\nn_kv_heads: 2\nhead_dim: 8\nprefix: 8\ntensor_parallel: 3\n",
     ":6:18: n_kv_heads 2 and tensor_parallel 3: expected one to be a multiple of the other"},
    {"workload: attention\nn_heads: 12\nn_kv_heads: 5\nhead_dim: 8\nprefix: 8\n",
     ":3:13: n_kv_heads: 5 does not divide n_heads 12"},
    {"workload: attention\nn_heads: 12\nn_kv_heads: 4\nhead_dim: [8, 9]\nprefix: 8\n",
     ":4:11: head_dim: 9 is odd: elements of a head go in pairs"},
    {"workload: attention\nn_heads: 12\nn_kv_heads: 4\nprefix: 8\n",
     ":1:1: workload attention needs 'head_dim', or a model to take it from"},
    {"weights: m.h5\nnew_tokens: 4\ntree: 1x8/3x4\nbatch: 4\n",
     ":3:7: tree 1x8/3x4: batch 4 is not a multiple of its 3 leaves"},
    {"weights: m.h5\nnew_tokens: 4\ntree: 2x8/3x4\nbatch: 6\n",
     ":3:7: tree '2x8/3x4': 3 nodes below 2: expected a multiple"},
    {"weights: m.h5\nnew_tokens: 4\ntree: 1x8/4\n",
     ":3:7: tree level '4': expected nodes x length, such as 4x128"},
    {"weights: m.h5\nnew_tokens: 4\ntree: 0x8\n",
     ":3:7: tree level '0x8': expected nodes x length, such as 4x128"},
    {"workload: attention\nn_heads: 1\nn_kv_heads: 1\nhead_dim: 8\nbatch: 4096\ntree: 4096x1000000\n",
     ":6:7: tree 4096x1000000: more than 2147483647 tokens"},
    {"workload: needles\nweights: m.h5\nprefix: 600\nsuffix: 3\n",
     ":1:1: workload needles needs 'questions'"},
    {"workload: needles\nweights: m.h5\nquestions: 2\nprefix: [41, 40]\nsuffix: 3\nneedles: 20\n",
     ":4:9: prefix: a document of 40 tokens has no place for 20 needles, a key and its value each: expected "
     "41 "
     "or more, or fewer `needles`"},
    {"workload: needles\nweights: m.h5\nquestions: 2\nprefix: 600\nsuffix: 3\nneedles: [50, 51]\n",
     ":6:10: needles: 51 keys, their values and a token between them are 103 ids, small has 101: expected "
     "fewer "
     "`needles`"},
    {"workload: needles\nweights: m.h5\nquestions: 2\nprefix: 600\nneedles: 9\n",
     ":1:1: suffix: 0: a question ends with its key: expected 1 token or more"},
    {"workload: needles\nweights: m.h5\nquestions: 2\nprefix: 600\nsuffix: 3\nneedles: 9\ntext_length: 8\n",
     ":7:14: text_length: there is no text: give `text` and `facts`"},
    {"workload: needles\nweights: m.h5\nquestions: 2\ntree: 1x600\nsuffix: 3\n",
     ":4:7: tree has no meaning for workload needles"},
    {"weights: m.h5\nnew_tokens: 4\nprefix: 8\nmax_iterations: 3\n",
     ":4:17: max_iterations: 3 is less than iterations 5"},
};
INSTANTIATE_TEST_SUITE_P(All, Refusals, testing::ValuesIn(cases));

TEST(DTypes, AreAllThatARunMayHave) {
  const auto dtypes = [](const std::string& yaml) {
    std::string text;
    for (const DType dtype : dtypes_of(experiment(yaml))) text += std::string(name_of(dtype)) + ' ';
    return text;
  };
  EXPECT_EQ(dtypes("batch: 1\n"), "bf16 ");
  EXPECT_EQ(dtypes("dtype: f32\n"), "f32 ");
  EXPECT_EQ(dtypes("dtype: [f16, bf16]\n"), "bf16 f16 ");
  EXPECT_EQ(dtypes("zip: {dtype: [f32, bf16], batch: [1, 2]}\n"), "f32 bf16 ");
  EXPECT_EQ(dtypes("blocks:\n  - dtype: f32\n  - dtype: f32\n    batch: 2\n"), "f32 ");
  // Where a block or a rule's other points say nothing, the default is theirs.
  EXPECT_EQ(dtypes("blocks:\n  - dtype: f32\n  - batch: 2\n"), "f32 bf16 ");
  EXPECT_EQ(dtypes("batch: [1, 2]\nwhen: {if: {batch: 2}, set: {dtype: f32}}\n"), "f32 bf16 ");
}

TEST(Models, UnknownOnesHaveANearName) {
  const std::string message =
      failure([] { runs_of(experiment("model: codelama-7b-instruct\nnew_tokens: 4\nprefix: 3\n")); });
  EXPECT_NE(message.find(":1:8: unknown model 'codelama-7b-instruct': did you mean 'codellama-7b-instruct'?"),
            std::string::npos)
      << message;
}

TEST(Models, WhereThereAreNoneAPathIsExpected) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "alone.yaml";
  const std::string message =
      failure([&] { runs_of(parse_experiment("model: tiny\nnew_tokens: 4\nprefix: 3\n", path, {})); });
  EXPECT_NE(
      message.find("unknown model 'tiny': expected models/tiny.yaml beside the experiment's file, or a path"),
      std::string::npos)
      << message;
}

TEST(SplitProblem, SaysWhichNumber) {
  EXPECT_EQ(runs_of(experiment("workload: attention\nn_heads: 8\nn_kv_heads: 2\nhead_dim: 8\nprefix: 8\n"
                               "tensor_parallel: [1, 2, 4, 8]\n"))
                .size(),
            4u);
}

}  // namespace
}  // namespace hydrajob
