#include "main/command_arguments.hpp"

#include <algorithm>
#include <iostream>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "comm/launcher.hpp"

namespace hydrajob {

namespace po = boost::program_options;

po::variables_map parse_arguments(const std::string& command, const std::vector<std::string>& arguments,
                                  const po::options_description& visible, const char* positional) {
  po::options_description all;
  all.add(visible).add_options()(positional, po::value<std::string>());
  po::positional_options_description place;
  place.add(positional, 1);
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments).options(all).positional(place).style(argument_style).run(),
              values);
  } catch (const po::error& e) {
    throw UsageError(fmt::format("{0}: {1}; hydrajob {0} --help lists the options", command, e.what()));
  }
  return values;
}

bool printed_help(const po::variables_map& values, const po::options_description& visible) {
  if (values.count("help") == 0) return false;
  std::cout << visible;
  flush_output();
  return true;
}

bool printed_help_once(const std::vector<std::string>& arguments, const po::options_description& visible) {
  const bool asked = std::any_of(arguments.begin(), arguments.end(),
                                 [](const std::string& word) { return word == "--help" || word == "-h"; });
  if (!asked) return false;
  if (launcher_rank() == 0) std::cout << visible;
  flush_output();
  return true;
}

std::filesystem::path output_of(const std::string& command, const po::variables_map& values) {
  const std::string output = values.count("output") > 0 ? values["output"].as<std::string>() : "";
  if (output.empty()) throw UsageError(command + ": -o MODEL.h5 is missing");
  return output;
}

}  // namespace hydrajob
