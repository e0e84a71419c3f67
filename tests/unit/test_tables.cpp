// Tables: delimiters, names, text columns, missing values, and the rules that travel with the weights.
#include <doctest/doctest.h>

#include "bnc/bnc.h"
#include "runtime/dataset.h"
#include "runtime/table.h"
#include "ir/utf8.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

using Missing = DataOptions::Missing;

class Files {
 public:
  Dataset open(const std::string& text, const ReadOptions& options = {}, const std::string& name = "t.csv") const {
    return Dataset::Data::open(folder_.write(name, text), "train", options);
  }
  std::vector<float> values(const std::string& text, const ReadOptions& options = {}, const std::string& name = "t.csv") const {
    return open(text, options, name).data().values;
  }
  std::string error(const std::string& text, const ReadOptions& options = {}, const std::string& name = "t.csv") const {
    return message_of<Error>([&] { open(text, options, name); });
  }

 private:
  TemporaryFolder folder_;
};

// What a network would keep that was trained on this data set.
ModelMetadata model_of(const Dataset& data) {
  ModelMetadata model;
  model.classes = data.data().class_names;
  model.table = data.data().table;
  return ModelMetadata::parse(model.entries(), "w");
}

constexpr const char* flowers = "length,site,species\n1,north,setosa\n2,south,iris\n4,north,setosa\n";

}  // namespace

TEST_CASE("tables: commas, semicolons, tabs or bars between the fields") {
  const Files files;
  const std::vector<float> numbers = {1.5f, 2, 3, 4};
  for (const char* text : {"a,b,label\n1.5,2,0\n3,4,1\n", "a;b;label\n1.5;2;0\n3;4;1\n", "a|b|label\n1.5|2|0\n3|4|1\n",
                           "\"a,1\";\"b,2\";label\n1.5;2;0\n3;4;1\n", "a\tb\tlabel\n1.5\t2\t0\n3\t4\t1\n"}) {
    CAPTURE(text);
    CHECK(files.values(text) == numbers);
  }
  CHECK(files.values("a\tb, c, d, e\tlabel\n1.5\t2\t0\n3\t4\t1\n", {}, "t.tsv") == numbers);   // more commas than tabs
  CHECK(contains(files.error("1;2;0\n1;2,5;0\n1;3;1\n"), "t.csv:2:3: `2,5` in column 2 is no number\nhelp: numbers have a decimal point"));
  CHECK(contains(files.error("1;\"2\"3;0\n"), "t.csv:1:6: expected a semicolon or the end of the line"));
}

TEST_CASE("tables: a column of text is an element a category") {
  const Files files;
  const Dataset data = files.open(flowers);
  CHECK(data.example_dims() == std::vector<int64_t>{3});
  CHECK(data.data().values == std::vector<float>{1, 1, 0, 2, 0, 1, 4, 1, 0});
  CHECK(data.data().class_names == std::vector<std::string>{"iris", "setosa"});
  CHECK(data.data().table->describe() == "`length`, `site` as 2 (north, south)");
  // Also where no line has names; a text among numbers stays a mistake.
  CHECK(files.values("red,1,0\nblue,2,1\nred,3,0\n") == std::vector<float>{0, 1, 1, 1, 0, 2, 0, 1, 3});
  CHECK(contains(files.error("a,b,label\n1,2,0\n1,x,0\n1,4,0\n"), "t.csv:3:3: `x` in column `b` is no number"));
}

TEST_CASE("tables: columns that options name") {
  const Files files;
  const char* text = "id,kind,a,b\np1,0,1,2\np2,1,3,4\n";
  const ReadOptions options{.choices = {.label = "kind", .ignore = {"b"}, .id = "id"}};
  const Dataset data = files.open(text, options);
  CHECK(data.data().values == std::vector<float>{1, 3});
  CHECK(data.data().labels == std::vector<int32_t>{0, 1});
  CHECK(data.data().ids == std::vector<std::string>{"p1", "p2"});
  CHECK(files.values("0,1,5\n1,3,4\n", {.choices = {.label = "1", .ignore = {"3"}}}) == std::vector<float>{1, 3});
  CHECK(contains(files.error(text, {.choices = {.label = "kin"}}), "t.csv holds no column `kin`; did you mean `kind`?"));
  CHECK(contains(files.error(text, {.choices = {.label = "target"}}), "note: its columns are id, kind, a, b"));
  CHECK(contains(files.error("0,1\n1,3\n", {.choices = {.ignore = {"a"}}}), "the table has no names\nhelp: give the number of the column"));
}

TEST_CASE("tables: missing values are an error, the mean of the training data, or their row is left out") {
  const Files files;
  const char* text = "a,c,label\n1,x,0\n,y,1\n5,NA,1\n";
  CHECK(contains(files.error(text), "t.csv:3:1: column `a` is empty here\nhelp: fill missing values in, or give `--missing mean`"));
  const Dataset mean = files.open(text, {.choices = {.missing = Missing::mean}});
  CHECK(mean.data().values == std::vector<float>{1, 1, 0, 3, 0, 1, 5, 0, 0});
  const Dataset drop = files.open(text, {.choices = {.missing = Missing::drop}});
  CHECK(drop.data().values == std::vector<float>{1, 1, 0});
  CHECK(drop.data().labels == std::vector<int32_t>{0});
  CHECK(drop.data().notes.size() == 1);
  // The mean travels with the weights, also where later data have another.
  const ModelMetadata model = model_of(mean);
  CHECK(files.values("c,a\ny,\nx,100\n", {.model = &model, .targets = false}) == std::vector<float>{3, 0, 1, 100, 1, 0});
  CHECK(contains(files.error("a,b,label\n,1,0\n,2,1\n", {.choices = {.missing = Missing::mean}}), "column `a` is empty in all rows"));
}

TEST_CASE("tables: later data are read by the names that the training data had") {
  const Files files;
  const ModelMetadata model = model_of(files.open(flowers));
  const ReadOptions by_model{.model = &model}, unlabelled{.model = &model, .targets = false};
  const Dataset test = files.open("species;site;length\nsetosa;south;7\n", by_model);
  CHECK(test.data().values == std::vector<float>{7, 0, 1});
  CHECK(test.data().labels == std::vector<int32_t>{1});   // as trained, though alone here
  CHECK(files.values("site,length,extra\nnorth,1,2\n", unlabelled) == std::vector<float>{1, 1, 0});
  CHECK(files.open("site,length,extra\nnorth,1,2\n", unlabelled).data().notes.size() == 1);
  CHECK(files.values("1,north\n2,south\n", unlabelled) == std::vector<float>{1, 1, 0, 2, 0, 1});   // without names in their order
  CHECK(
      contains(files.error("length,site,species\n1,north,setsoa\n", by_model),
               "t.csv:2:9: the label `setsoa` is no class that the network was trained on; is it `setosa`?\nnote: these are iris, setosa"));
  CHECK(contains(files.error("length,site,species\n1,north,0\n", by_model), "the label `0` is no class"));
  CHECK(contains(files.error("length,site\n1,north\n", by_model), "t.csv holds no column `species` with the targets"));
  CHECK(contains(files.error("lenght,site\n1,north\n", unlabelled),
                 "holds no column `length`, which the network was trained on; is it `lenght`?"));
  CHECK(
      contains(files.error("site,length\nwest,1\n", unlabelled), "`west` in column `site` was in no row that the network was trained on"));
  const ReadOptions unknown{.choices = {.unknown_as_zero = true}, .model = &model, .targets = false};
  CHECK(files.values("site,length\nwest,1\n", unknown) == std::vector<float>{1, 0, 0});
}

TEST_CASE("tables: rules in a file's metadata that are damaged are refused") {
  const auto error = [](const std::string& key, const std::string& text) {
    return message_of<Error>([&] { ModelMetadata::parse({{key, text}}, "w"); });
  };
  for (const char* text : {"", "{}", "[1]", R"({"columns": [], "target": "", "ignored": []})",
                           R"({"columns": [{"name": "a", "type": "date"}], "target": "", "ignored": []})",
                           R"({"columns": [{"name": "a", "type": "category", "categories": ["b", "a"]}], "target": "", "ignored": []})",
                           R"({"columns": [{"name": "a", "type": "category", "categories": []}], "target": "", "ignored": []})",
                           R"({"columns": [{"name": "a", "type": "number", "missing": 1e300}], "target": "", "ignored": []})",
                           R"({"columns": {"a": {"name": "a", "type": "number"}}, "target": "", "ignored": []})"}) {
    CAPTURE(text);
    CHECK(contains(error("bnc.table", text), "w: its metadata hold `" + std::string(text) + "` under `bnc.table`"));
  }
  CHECK(contains(error("bnc.classes", "{\"a\": 1}"), "under `bnc.classes`, which is no list of names"));
}

TEST_CASE("tables: text is UTF-8") {
  const Files files;
  const Dataset data = files.open("größe,farbe,label\n1,grün,0\n2,\xe2\x82\xac\xf0\x9f\x98\x80,1\n");
  CHECK(data.data().table->columns[1].categories == std::vector<std::string>{"grün", "€😀"});
  CHECK(contains(files.error("a,label\n1,0\n2,gr\xfcn\n"), "t.csv:3:5: a byte 0xfc is no UTF-8\nhelp: save the table as UTF-8"));
  CHECK(contains(files.error("\xff\xfe" "a"), "t.csv:1:1: a byte 0xff is no UTF-8"));
  for (const char* wrong : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                            "\xf5\x80\x80\x80", "\xe2\x82", "\xc3\x28"}) {
    CAPTURE(wrong);
    CHECK(first_not_utf8(std::string("ab") + wrong) == 2u);
  }
  CHECK(!first_not_utf8("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
}
