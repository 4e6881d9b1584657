# Warnings, hardening and sanitizers, as one interface target that every layer links to.
include(CheckCXXCompilerFlag)
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # clang-tidy wants the bare command
  # Paths below the source tree count as relative, so that another clone finds what this one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()

add_library(sessmtp_compiler INTERFACE)
target_compile_options(sessmtp_compiler INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wimplicit-fallthrough -Wundef -Werror
  -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)

if(SESSMTP_SANITIZE)
  target_compile_options(sessmtp_compiler INTERFACE
    -fsanitize=${SESSMTP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sessmtp_compiler INTERFACE -fsanitize=${SESSMTP_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(sessmtp_compiler INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS
    -fstack-protector-strong -fstack-clash-protection)
  check_cxx_compiler_flag(-fcf-protection SESSMTP_HAS_CF_PROTECTION)  # x86 only
  if(SESSMTP_HAS_CF_PROTECTION)
    target_compile_options(sessmtp_compiler INTERFACE -fcf-protection)
  endif()
  target_link_options(sessmtp_compiler INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,pack-relative-relocs)
endif()

if(SESSMTP_STATIC)
  # Functions that nobody calls are dropped, and the symbols.
  target_compile_options(sessmtp_compiler INTERFACE
    -ffunction-sections -fdata-sections -ffile-prefix-map=${SESSMTP_STATIC_LIBRARIES}=static-libraries)
  target_link_options(sessmtp_compiler INTERFACE -static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,-s)
endif()
