// Arguments of a command that takes options and one name.
#pragma once

#include <string>
#include <vector>

#include <boost/program_options.hpp>

namespace hydrajob {

// `positional`: the option that the name becomes. Throws UsageError that begins with the command.
boost::program_options::variables_map parse_arguments(
    const std::string& command, const std::vector<std::string>& arguments,
    const boost::program_options::options_description& visible, const char* positional);

}  // namespace hydrajob
