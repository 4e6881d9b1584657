# A layer is a folder of src/ and a library target of the same name.
#
#   sessmtp_layer(ses SOURCES a.cpp USES base LIBRARIES OpenSSL::Crypto PRIVATE_LIBRARIES yaml-cpp)
#
# A layer sees the headers of the layers in USES and of no other: the include path of each layer
# holds that layer alone (a symbolic link in the build folder), so an #include against the arrows
# of docs/architecture.md does not compile.
function(sessmtp_layer NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LIBRARIES;PRIVATE_LIBRARIES" ${ARGN})
  set(include_root ${PROJECT_BINARY_DIR}/include/${NAME})
  file(MAKE_DIRECTORY ${include_root})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/src/${NAME} ${include_root}/${NAME} SYMBOLIC)

  add_library(sessmtp_${NAME} STATIC ${ARG_SOURCES})
  target_include_directories(sessmtp_${NAME} PUBLIC ${include_root})
  list(TRANSFORM ARG_USES PREPEND sessmtp_)
  target_link_libraries(sessmtp_${NAME}
    PUBLIC ${ARG_USES} ${ARG_LIBRARIES}
    PRIVATE sessmtp_compiler ${ARG_PRIVATE_LIBRARIES})
endfunction()
