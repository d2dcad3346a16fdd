# What the program says of its own making, as a header in the build folder: the digest of the sources that shape a
# result (a part of every run's identity), the commit, and whether the tree differs from it. The build writes it anew
# when any of these changed, and only then.
#
#   hj_code_digest(<target>)    gives the target "build_info.hpp"
#
# Called as a script (cmake -P) it writes the header: SOURCE_DIR, OUTPUT, FLAGS.

# The numbers, the values of random weights, and what `auto` chooses.
set(HJ_DIGEST_FOLDERS kernels src/comm src/device src/engine src/needles src/timing src/weights src/workload)
set(HJ_DIGEST_FILES src/base/bf16.hpp src/base/element.hpp src/base/f16.hpp src/base/philox.hpp
    src/grid/cost_model.cpp src/grid/cost_model.hpp)
set(HJ_CODE_DIGEST_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

# `flags`: of the compiler. A result of a debug build is none of a release build.
function(hj_source_digest source_dir flags result)
  set(files ${HJ_DIGEST_FILES})
  foreach(folder ${HJ_DIGEST_FOLDERS})
    file(GLOB_RECURSE found RELATIVE ${source_dir} ${source_dir}/${folder}/*.cpp ${source_dir}/${folder}/*.hpp
         ${source_dir}/${folder}/*.cu ${source_dir}/${folder}/*.cuh)
    list(APPEND files ${found})
  endforeach()
  list(SORT files)
  set(listing "${flags}\n")
  foreach(file ${files})
    file(SHA256 ${source_dir}/${file} digest)
    string(APPEND listing "${digest}  ${file}\n")
  endforeach()
  string(SHA256 digest "${listing}")
  string(SUBSTRING ${digest} 0 32 digest)
  set(${result} ${digest} PARENT_SCOPE)
endfunction()

# The output of git, or empty where there is no git or no repository.
function(hj_git source_dir result)
  execute_process(COMMAND git -C ${source_dir} ${ARGN} OUTPUT_VARIABLE text ERROR_QUIET RESULT_VARIABLE status
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    set(text "")
  endif()
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

function(hj_write_build_info source_dir flags output)
  hj_source_digest(${source_dir} "${flags}" digest)
  hj_git(${source_dir} commit rev-parse HEAD)
  hj_git(${source_dir} changes status --porcelain --untracked-files=no)
  set(changed false)
  if(changes)
    set(changed true)
  endif()
  set(text "// Written by cmake/code_digest.cmake at every build that changes it.\n#pragma once\n\n")
  string(APPEND text "namespace hydrajob::build_info {\n\n")
  string(APPEND text "inline constexpr char code_digest[] = \"${digest}\";\n")
  string(APPEND text "inline constexpr char commit[] = \"${commit}\";  // empty: not built from a repository\n")
  string(APPEND text "inline constexpr bool changed = ${changed};  // tracked files differed from the commit\n\n")
  string(APPEND text "}  // namespace hydrajob::build_info\n")
  set(old "")
  if(EXISTS ${output})
    file(READ ${output} old)
  endif()
  if(NOT old STREQUAL text)
    file(WRITE ${output} "${text}")
  endif()
endfunction()

function(hj_code_digest target)
  set(folder ${CMAKE_BINARY_DIR}/generated)
  set(output ${folder}/build_info.hpp)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" flags)
  if(HJ_SANITIZE)
    string(APPEND flags " sanitized")
  endif()
  add_custom_target(hj_build_info BYPRODUCTS ${output}
    COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DOUTPUT=${output} "-DFLAGS=${flags}"
            -P ${HJ_CODE_DIGEST_SCRIPT}
    COMMENT "Digest of the sources that shape a result" VERBATIM)
  add_dependencies(${target} hj_build_info)
  target_include_directories(${target} PRIVATE ${folder})
  target_compile_definitions(${target} PRIVATE
    HJ_VERSION="${PROJECT_VERSION}" HJ_COMPILER="${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
    HJ_FLAGS="${flags}" HJ_BUILD_TYPE="${CMAKE_BUILD_TYPE}" HJ_HDF5_VERSION="${HDF5_VERSION}")
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  hj_write_build_info(${SOURCE_DIR} "${FLAGS}" ${OUTPUT})
endif()
