// Arguments of a command that takes a file: what is common to them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

namespace hydrajob {

// Options are written out: one that is guessed from its beginning may be another tomorrow.
inline constexpr int argument_style = boost::program_options::command_line_style::default_style &
                                      ~boost::program_options::command_line_style::allow_guessing;

// `positional`: the option that the name becomes. Throws UsageError that begins with the command.
boost::program_options::variables_map parse_arguments(
    const std::string& command, const std::vector<std::string>& arguments,
    const boost::program_options::options_description& visible, const char* positional);

// Prints the options where --help stands, and says so.
bool printed_help(const boost::program_options::variables_map& values,
                  const boost::program_options::options_description& visible);

// The same of a command for several ranks, by one of them, and before MPI is started: the other arguments
// need not be right.
bool printed_help_once(const std::vector<std::string>& arguments,
                       const boost::program_options::options_description& visible);

// -o MODEL.h5. Throws UsageError where it is missing or empty.
std::filesystem::path output_of(const std::string& command,
                                const boost::program_options::variables_map& values);

}  // namespace hydrajob
