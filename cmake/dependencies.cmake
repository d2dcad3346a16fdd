# Every foreign library, found once. Which module may include it is decided in src/CMakeLists.txt and kernels/.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Boost REQUIRED COMPONENTS program_options)

set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI REQUIRED COMPONENTS CXX)

# The serial build on purpose: several ranks reading one file plainly were as fast as MPI-IO.
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 1.10 REQUIRED COMPONENTS C HL)

# Not by its own package file: Debian's asks for OpenCL's headers, which nothing here uses.
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(hj_dnnl INTERFACE)
target_include_directories(hj_dnnl INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(hj_dnnl INTERFACE ${DNNL_LIBRARY})

# hj_plain_library(<target> <package> HEADER <name> LIBRARY <name>): one that brings no package file for CMake.
function(hj_plain_library target package)
  cmake_parse_arguments(ARG "" "HEADER;LIBRARY" "" ${ARGN})
  find_path(${target}_INCLUDE_DIR ${ARG_HEADER})
  find_library(${target}_LIBRARY ${ARG_LIBRARY})
  if(NOT ${target}_INCLUDE_DIR OR NOT ${target}_LIBRARY)
    message(FATAL_ERROR "${ARG_HEADER} or lib${ARG_LIBRARY} is missing: scripts/install_dependencies installs ${package}")
  endif()
  add_library(${target} INTERFACE)
  target_include_directories(${target} INTERFACE ${${target}_INCLUDE_DIR})
  target_link_libraries(${target} INTERFACE ${${target}_LIBRARY})
endfunction()
hj_plain_library(hj_sentencepiece libsentencepiece-dev HEADER sentencepiece_processor.h LIBRARY sentencepiece)
hj_plain_library(hj_pcre2 libpcre2-dev HEADER pcre2.h LIBRARY pcre2-8)
hj_plain_library(hj_utf8proc libutf8proc-dev HEADER utf8proc.h LIBRARY utf8proc)

find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
add_library(hj_xxhash INTERFACE)
target_include_directories(hj_xxhash INTERFACE ${XXHASH_INCLUDE_DIR})
target_link_libraries(hj_xxhash INTERFACE ${XXHASH_LIBRARY})

if(TARGET yaml-cpp::yaml-cpp)
  set(HJ_YAML_CPP yaml-cpp::yaml-cpp)
else()
  set(HJ_YAML_CPP yaml-cpp)
endif()

# The runtime is linked statically and the driver's library not at all: the program starts where there is no driver, and
# says so.
if(HJ_CUDA)
  # Hopper's own instructions, and a portable path: sm_80, whose PTX later GPUs take.
  set(CMAKE_CUDA_ARCHITECTURES "80;90a-real" CACHE STRING "GPUs to compile for")
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS /usr/local/cuda/bin)
  enable_language(CUDA)
  if(CMAKE_VERSION VERSION_LESS 3.26)  # does not know that this compiler has C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  find_package(CUDAToolkit 12 REQUIRED)

  # NCCL comes with no package file. NCCL_ROOT says where it is, if not beside the toolkit or in the system's folders.
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${NCCL_ROOT} $ENV{NCCL_ROOT} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
  find_library(NCCL_LIBRARY nccl HINTS ${NCCL_ROOT} $ENV{NCCL_ROOT} ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT}
               PATH_SUFFIXES lib lib64)
  if(NOT NCCL_INCLUDE_DIR OR NOT NCCL_LIBRARY)
    message(FATAL_ERROR "HJ_CUDA: NCCL (nccl.h, libnccl) was not found: expected beside the CUDA Toolkit, or under NCCL_ROOT")
  endif()
  add_library(hj_nccl INTERFACE)
  target_include_directories(hj_nccl INTERFACE ${NCCL_INCLUDE_DIR})
  target_link_libraries(hj_nccl INTERFACE ${NCCL_LIBRARY})
endif()
