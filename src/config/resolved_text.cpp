#include "config/resolved_text.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "config/variables.hpp"

namespace hydrajob {
namespace {

void emit_value(YAML::Emitter& out, const Value& value) {
  out << protect_variables(to_string(value));
}

void emit_axis(YAML::Emitter& out, const Axis& axis) {
  out << YAML::Key << axis.parameter << YAML::Value;
  if (axis.values.size() == 1) return emit_value(out, axis.values.front());
  out << YAML::Flow << YAML::BeginSeq;
  for (const Value& value : axis.values) emit_value(out, value);
  out << YAML::EndSeq;
}

void emit_axes(YAML::Emitter& out, const std::vector<Axis>& axes) {
  out << YAML::BeginMap;
  for (const Axis& axis : axes) emit_axis(out, axis);
  out << YAML::EndMap;
}

void emit_conditions(YAML::Emitter& out, const Conditions& conditions) {
  out << YAML::BeginMap;
  for (const Condition& condition : conditions) {
    out << YAML::Key << condition.parameter << YAML::Value << protect_variables(value_text(condition));
  }
  out << YAML::EndMap;
}

bool gives(const Block& block, std::string_view parameter) {
  const auto is_it = [&](const Axis& axis) { return axis.parameter == parameter; };
  return std::any_of(block.axes.begin(), block.axes.end(), is_it) ||
         std::any_of(block.zips.begin(), block.zips.end(),
                     [&](const Zip& zip) { return std::any_of(zip.begin(), zip.end(), is_it); });
}

void emit_defaults(YAML::Emitter& out, const Block& block) {
  for (const ParameterInfo& info : parameter_table()) {
    if (!info.fallback || !info.axis || !applies_to(info, block.workload)) continue;
    if (gives(block, info.name) || gives(block, rival_of(info.name))) continue;
    out << YAML::Key << std::string(info.name) << YAML::Value;
    emit_value(out, *info.fallback);
  }
}

void emit_block(YAML::Emitter& out, const Block& block) {
  out << YAML::BeginMap;
  if (!block.name.empty()) out << YAML::Key << "name" << YAML::Value << protect_variables(block.name);
  out << YAML::Key << "workload" << YAML::Value << block.workload;
  emit_defaults(out, block);
  for (const Axis& axis : block.axes) emit_axis(out, axis);
  if (!block.zips.empty()) {
    out << YAML::Key << "zip" << YAML::Value << YAML::BeginSeq;
    for (const Zip& zip : block.zips) emit_axes(out, zip);
    out << YAML::EndSeq;
  }
  if (!block.excludes.empty()) {
    out << YAML::Key << "exclude" << YAML::Value << YAML::BeginSeq;
    for (const Conditions& conditions : block.excludes) emit_conditions(out, conditions);
    out << YAML::EndSeq;
  }
  if (!block.whens.empty()) {
    out << YAML::Key << "when" << YAML::Value << YAML::BeginSeq;
    for (const When& when : block.whens) {
      out << YAML::BeginMap << YAML::Key << "if" << YAML::Value;
      emit_conditions(out, when.conditions);
      out << YAML::Key << "set" << YAML::Value;
      emit_axes(out, when.axes);
      out << YAML::EndMap;
    }
    out << YAML::EndSeq;
  }
  out << YAML::EndMap;
}

}  // namespace

std::string resolved_text(const Experiment& experiment) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << protect_variables(experiment.name);
  out << YAML::Key << "store" << YAML::Value << protect_variables(experiment.store.string());
  out << YAML::Key << "blocks" << YAML::Value << YAML::BeginSeq;
  for (const Block& block : experiment.blocks) emit_block(out, block);
  out << YAML::EndSeq << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace hydrajob
