// Experiments: how defaults, blocks and the command line come together.
#include "config/experiment.hpp"

#include <cstdlib>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/config/failure.hpp"

namespace hydrajob {
namespace {

Experiment parse(const std::string& yaml, const std::vector<Assignment>& set = {}) {
  return parse_experiment(yaml, "configs/a.yaml", set);
}

// "batch=4,16 prefix=64": the axes of a block in order.
std::string axes_text(const std::vector<Axis>& axes) {
  std::string text;
  for (const Axis& axis : axes) {
    if (!text.empty()) text += ' ';
    text += axis.parameter + '=';
    for (std::size_t i = 0; i < axis.values.size(); ++i)
      text += (i > 0 ? "," : "") + to_string(axis.values[i]);
  }
  return text;
}

TEST(Experiment, WithoutBlocksIsOneBlock) {
  const Experiment e = parse("name: x\nstore: s.h5\nmode: [paged, hydragen]\nbatch: 4:17:x2\n");
  EXPECT_EQ(e.name, "x");
  EXPECT_EQ(e.store, "s.h5");
  ASSERT_EQ(e.blocks.size(), 1u);
  EXPECT_EQ(axes_text(e.blocks[0].axes), "mode=paged,hydragen batch=4,8,16");
  EXPECT_EQ(e.blocks[0].workload, "generate");
}

TEST(Experiment, NamesItselfAfterItsFile) {
  const Experiment e = parse("batch: 1\n");
  EXPECT_EQ(e.name, "a");
  EXPECT_EQ(e.store, "results/a.h5");
}

TEST(Experiment, BlocksReplaceDefaultsAndComeInside) {
  const Experiment e = parse(
      "batch: [1, 2]\nprefix: 8\nmode: paged\n"
      "blocks:\n  - name: one\n    suffix: 3\n    prefix: [4, 5]\n  - mode: hydragen\n");
  ASSERT_EQ(e.blocks.size(), 2u);
  EXPECT_EQ(e.blocks[0].name, "one");
  EXPECT_EQ(axes_text(e.blocks[0].axes), "batch=1,2 mode=paged suffix=3 prefix=4,5");
  EXPECT_EQ(axes_text(e.blocks[1].axes), "batch=1,2 prefix=8 mode=hydragen");
  EXPECT_EQ(e.blocks[0].place.text, "configs/a.yaml:5:5");
  EXPECT_EQ(e.blocks[0].axes[3].place.text, "configs/a.yaml:7:13");
}

TEST(Experiment, TreeAndPrefixReplaceEachOther) {
  const Experiment e = parse("prefix: 8\nblocks:\n  - tree: 1x4/2x4\n  - batch: 1\n");
  EXPECT_EQ(axes_text(e.blocks[0].axes), "tree=1x4/2x4");
  EXPECT_EQ(axes_text(e.blocks[1].axes), "prefix=8 batch=1");
}

TEST(Experiment, BlocksTakeParametersOutOfTheFilesZips) {
  const Experiment e = parse("zip: {batch: [1, 2], prefix: [3, 4]}\nblocks:\n  - batch: 9\n  - suffix: 0\n");
  EXPECT_EQ(axes_text(e.blocks[0].axes), "batch=9");
  ASSERT_EQ(e.blocks[0].zips.size(), 1u);
  EXPECT_EQ(axes_text(e.blocks[0].zips[0]), "prefix=3,4");
  EXPECT_EQ(axes_text(e.blocks[1].zips[0]), "batch=1,2 prefix=3,4");
}

TEST(Experiment, DefaultsOfAnotherWorkloadAreLeftOut) {
  const Experiment e = parse(
      "new_tokens: [4, 8]\nbatch: 2\nexclude: {top_p: 0.5}\n"
      "when: {if: {batch: 2}, set: {new_tokens: 3}}\n"
      "blocks:\n  - workload: attention\n    l2: warm\n  - {}\n");
  EXPECT_EQ(e.blocks[0].workload, "attention");
  EXPECT_EQ(axes_text(e.blocks[0].axes), "batch=2 l2=warm");
  EXPECT_TRUE(e.blocks[0].whens.empty());
  EXPECT_TRUE(e.blocks[0].excludes.empty());
  EXPECT_EQ(axes_text(e.blocks[1].axes), "new_tokens=4,8 batch=2");
  EXPECT_EQ(e.blocks[1].whens.size(), 1u);
  EXPECT_EQ(e.blocks[1].excludes.size(), 1u);
}

TEST(Variables, ComeFromTheEnvironment) {
  ::setenv("HJ_TEST_BATCH", "4,8", 1);
  ::setenv("HJ_TEST_EMPTY", "", 1);
  const Experiment e = parse(
      "batch: ${HJ_TEST_BATCH}\nprefix: [\"${HJ_TEST_NONE:-7}\", 9]\n"
      "suffix: ${HJ_TEST_EMPTY:-${HJ_TEST_NONE:-5}}\nname: a$${b}-${HJ_TEST_EMPTY}\n# ${HJ_TEST_NONE}\n");
  EXPECT_EQ(axes_text(e.blocks[0].axes), "batch=4,8 prefix=7,9 suffix=5");
  EXPECT_EQ(e.name, "a${b}-");
}

TEST(Override, ReplacesEverywhere) {
  const std::string yaml =
      "batch: [1, 2]\nzip: {prefix: [3, 4], suffix: [5, 6]}\n"
      "when: {if: {mode: paged}, set: {iterations: 9, warmup: 2}}\n"
      "blocks:\n  - batch: 7\n  - mode: paged\n";
  const Experiment e = parse(yaml, {"batch=16,32", "prefix=8", "iterations=3", "store=x.h5"});
  EXPECT_EQ(axes_text(e.blocks[0].axes), "prefix=8 iterations=3 batch=16,32");
  EXPECT_EQ(axes_text(e.blocks[1].axes), "batch=16,32 prefix=8 iterations=3 mode=paged");
  EXPECT_EQ(axes_text(e.blocks[1].zips[0]), "suffix=5,6");
  EXPECT_EQ(axes_text(e.blocks[1].whens[0].axes), "warmup=2");
  EXPECT_EQ(e.store, "x.h5");
}

TEST(Override, TakesLists) {
  EXPECT_EQ(axes_text(parse("batch: 1\n", {"batch=[4, 5]"}).blocks[0].axes), "batch=4,5");
  EXPECT_EQ(axes_text(parse("batch: 1\n", {"batch=1:9:x2"}).blocks[0].axes), "batch=1,2,4,8");
}

TEST(Override, TakesVariables) {
  ::setenv("HJ_TEST_BATCH", "4,8", 1);
  const Experiment e = parse(
      "batch: 1\nprefix: 1\n",
      {"batch=${HJ_TEST_BATCH}", "prefix=[\"${HJ_TEST_NONE:-7}\", 9]", "store=${HJ_TEST_NONE:-a}$${b}.h5"});
  EXPECT_EQ(axes_text(e.blocks[0].axes), "batch=4,8 prefix=7,9");
  EXPECT_EQ(e.store, "a${b}.h5");
}

TEST(Override, OfATreeReplacesThePrefix) {
  const Experiment e = parse("prefix: 8\nblocks:\n  - prefix: 9\n  - zip: {prefix: [1, 2]}\n", {"tree=1x4"});
  EXPECT_EQ(axes_text(e.blocks[0].axes), "tree=1x4");
  EXPECT_EQ(axes_text(e.blocks[1].axes), "tree=1x4");
  EXPECT_TRUE(e.blocks[1].zips.empty());
}

TEST(Override, RemovesRulesThatHaveNothingLeftToSet) {
  const Experiment e = parse("when: {if: {mode: paged}, set: {iterations: 9}}\n", {"iterations=3"});
  EXPECT_TRUE(e.blocks[0].whens.empty());
}

std::string block_text(const Block& block) {
  std::string text = block.name + '|' + block.workload + '|' + axes_text(block.axes);
  for (const Zip& zip : block.zips) text += "|zip " + axes_text(zip);
  const auto conditions = [&](const Conditions& all) {
    for (const Condition& c : all) text += ' ' + c.parameter + ' ' + value_text(c);
  };
  for (const Conditions& exclude : block.excludes) text += "|exclude", conditions(exclude);
  for (const When& when : block.whens)
    text += "|when", conditions(when.conditions), text += axes_text(when.axes);
  return text;
}

TEST(ResolvedText, ReadsBackAsTheSameExperiment) {
  const Experiment e = parse(
      "name: 'x: y'\nstore: 's$${p}.h5'\nbatch: 1:9:x2\nzip: {prefix: [3, 4], suffix: [5, 6]}\n"
      "when: {if: {mode: '!= paged', batch: '>= 2'}, set: {iterations: [3, 4]}}\n"
      "exclude: [{mode: [vllm, paged], batch: 4}]\nnew_tokens: 1\n"
      "blocks:\n  - {name: b, temperature: 0.1}\n  - {workload: attention, n_heads: 3, tree: ['1x4', "
      "'1x2/2x2']}\n");
  const Experiment again = parse(e.resolved_text);
  EXPECT_EQ(again.name, e.name);
  EXPECT_EQ(again.store, e.store);
  ASSERT_EQ(again.blocks.size(), e.blocks.size());
  EXPECT_EQ(again.resolved_text, e.resolved_text) << e.resolved_text;
  for (std::size_t i = 0; i < e.blocks.size(); ++i) {
    const std::string first = block_text(e.blocks[i]);
    const std::string second = block_text(again.blocks[i]);
    // The text spells out the defaults before the block's own axes.
    EXPECT_EQ(second.substr(second.size() - 20), first.substr(first.size() - 20));
    EXPECT_NE(e.resolved_text.find("dtype: bf16"), std::string::npos);
  }
}

}  // namespace
}  // namespace hydrajob
