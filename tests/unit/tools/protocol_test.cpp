// SPDX-License-Identifier: MIT
#include "tools/protocol.h"

#include <gtest/gtest.h>

#include <string>

namespace kfdlab::protocol {
namespace {

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(i * 131 + (i >> 8));
  }
  return bytes;
}

TEST(FrameReader, CutsFramesHoweverTheStreamWasSplit) {
  const std::string big = pattern(70000);
  const std::string stream =
      encode_frame(Type::Stdout, big) + encode_frame(Type::StdinEof) + encode_frame_u32(Type::Exit, 7);
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{4096}, stream.size()}) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.feed(std::string_view(stream).substr(at, step));
      while (auto frame = reader.next()) {
        frames.push_back(*frame);
      }
    }
    ASSERT_EQ(frames.size(), 3u) << "step " << step;
    EXPECT_EQ(frames[0].type, Type::Stdout);
    EXPECT_EQ(frames[0].payload, big);
    EXPECT_EQ(frames[1].type, Type::StdinEof);
    EXPECT_TRUE(frames[1].payload.empty());
    EXPECT_EQ(frames[2].type, Type::Exit);
    EXPECT_EQ(PayloadReader(frames[2].payload).u32(), 7u);
  }
}

TEST(FrameReader, GivesNothingForHalfAHeaderOrHalfAPayload) {
  const std::string frame = encode_frame(Type::Stderr, "abc");
  FrameReader reader;
  reader.feed(std::string_view(frame).substr(0, 7));
  EXPECT_FALSE(reader.next());
  reader.feed(std::string_view(frame).substr(7, 3));
  EXPECT_FALSE(reader.next());
  reader.feed(std::string_view(frame).substr(10));
  ASSERT_TRUE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.broken());
}

TEST(FrameReader, RefusesAnImpossibleLengthForGood) {
  FrameReader reader;
  reader.feed(std::string("\x06\0\0\0\xff\xff\xff\xff", 8));
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.broken());
  reader.feed(encode_frame(Type::Stdout, "x"));
  EXPECT_FALSE(reader.next());
}

TEST(Protocol, HeaderIsLittleEndianTypeAndLength) {
  EXPECT_EQ(encode_frame(Type::Stdin, "ab"), std::string("\x03\0\0\0\x02\0\0\0ab", 10));
}

ExecRequest example() {
  ExecRequest request;
  request.flags = ExecRequest::kPty | ExecRequest::kResults;
  request.uid = 1000;
  request.gid = 1001;
  request.umask = 077;
  request.rows = 24;
  request.columns = 80;
  request.cwd = "/home/a b";
  request.groups = {4, 44, 108};
  request.limits = {{7, 1024, ~0ull}};
  request.argv = {"sh", "-c", "", std::string("nul\0byte", 8)};
  request.env = {"A=1", "B="};
  return request;
}

TEST(ExecRequest, SurvivesTheWire) {
  const auto decoded = decode_exec(encode_exec(example()));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->flags, example().flags);
  EXPECT_EQ(decoded->uid, 1000u);
  EXPECT_EQ(decoded->gid, 1001u);
  EXPECT_EQ(decoded->umask, 077u);
  EXPECT_EQ(decoded->rows, 24u);
  EXPECT_EQ(decoded->columns, 80u);
  EXPECT_EQ(decoded->cwd, "/home/a b");
  EXPECT_EQ(decoded->groups, example().groups);
  ASSERT_EQ(decoded->limits.size(), 1u);
  EXPECT_EQ(decoded->limits[0].hard, ~0ull);
  EXPECT_EQ(decoded->argv, example().argv);
  EXPECT_EQ(decoded->env, example().env);
}

TEST(ExecRequest, EveryTruncationIsRefused) {
  const std::string whole = encode_exec(example());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_exec(std::string_view(whole).substr(0, size))) << size;
  }
}

TEST(ExecRequest, NeedsACommand) {
  ExecRequest request = example();
  request.argv.clear();
  EXPECT_FALSE(decode_exec(encode_exec(request)));
}

}  // namespace
}  // namespace kfdlab::protocol
