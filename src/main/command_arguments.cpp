#include "main/command_arguments.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

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
    po::store(po::command_line_parser(arguments).options(all).positional(place).run(), values);
  } catch (const po::error& e) {
    throw UsageError(fmt::format("{0}: {1}; hydrajob {0} --help lists the options", command, e.what()));
  }
  return values;
}

}  // namespace hydrajob
