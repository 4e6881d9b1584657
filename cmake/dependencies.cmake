# Third-party libraries; docs/adr says why each was chosen.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(cpprestsdk 2.10.18 REQUIRED)
find_package(prometheus-cpp REQUIRED)  # of it the core alone, never its HTTP server
find_package(Boost 1.74 REQUIRED)  # headers only
if(SESSMTP_TESTS)
  find_package(GTest REQUIRED)
endif()
