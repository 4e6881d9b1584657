# Third-party libraries; docs/adr says why each was chosen.
if(SESSMTP_STATIC)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/static-libraries
    OUTPUT_VARIABLE SESSMTP_STATIC_LIBRARIES OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(SESSMTP_STATIC_LIBRARIES ${SESSMTP_STATIC_LIBRARIES} CACHE INTERNAL "")  # tools/sbom asks for it
  list(PREPEND CMAKE_PREFIX_PATH ${SESSMTP_STATIC_LIBRARIES})
  set(OPENSSL_USE_STATIC_LIBS ON)
  set(Boost_USE_STATIC_LIBS ON)
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(cpprestsdk 2.10.18 REQUIRED)
find_package(CURL 7.87 REQUIRED)  # CURLOPT_QUICK_EXIT
find_package(prometheus-cpp REQUIRED)  # of it the core alone, never its HTTP server
find_package(Boost 1.74 REQUIRED)  # headers only
if(SESSMTP_TESTS)
  find_package(GTest REQUIRED)
endif()

# One file uses spdlog: as headers, fmt too, neither is one more library to load.
set_target_properties(spdlog::spdlog_header_only PROPERTIES INTERFACE_LINK_LIBRARIES fmt::fmt-header-only)

if(SESSMTP_STATIC)
  # These name shared libraries in their CMake files, though the static ones are there.
  find_library(YAML_CPP_ARCHIVE libyaml-cpp.a REQUIRED)
  set_target_properties(yaml-cpp PROPERTIES IMPORTED_LOCATION_NONE ${YAML_CPP_ARCHIVE})
  set_target_properties(cpprestsdk::cpprest PROPERTIES
    INTERFACE_LINK_LIBRARIES "Boost::thread;Boost::chrono;Boost::filesystem;Boost::random;Boost::regex;OpenSSL::SSL")
endif()
