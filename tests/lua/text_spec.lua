local text = require "sm.text"

describe("text for people", function()
  it("shows what would not be seen as a Lua string writes it", function()
    assert.equal("plain text", text.visible "plain text")
    assert.equal([[a\27[31mb\nc\td\r\0\127]], text.visible "a\27[31mb\nc\td\r\0\127")
    assert.equal("a\nb\tc\\r", text.visible("a\nb\tc\r", "\n\t"))
    assert.equal([[x\u{202E}cod.exe\u{2066}\u{2028}\u{200B}\u{FEFF}\u{9B}]],
      text.visible "x\u{202E}cod.exe\u{2066}\u{2028}\u{200B}\u{FEFF}\u{9B}")
    assert.equal([[caf\233 \255\200]], text.visible "caf\233 \255\200")
    assert.equal([[a\u{200D}b \u{200C}é \u{E0041}\u{E007F}]], text.visible "a\u{200D}b \u{200C}é \u{E0041}\u{E007F}")
    assert.equal("👨\u{200D}👩 می\u{200C}خواهم", text.visible "👨\u{200D}👩 می\u{200C}خواهم")
    assert.equal("größer 漢字 ±é\u{301} 👍", text.visible "größer 漢字 ±é\u{301} 👍")
  end)

  it("measures the columns of a terminal, whatever the locale", function()
    for columns, example in pairs { [3] = "abc", [4] = "漢字", [1] = "e\u{301}", [5] = "größe", [2] = "👍", [0] = "" } do
      assert.equal(columns, text.width(example), example)
    end
    assert.equal(3, text.width "\27[1;32mabc\27[0m")
    assert.equal(2, text.width "\233\233")
  end)

  it("clips and fills up by columns", function()
    assert.equal("abc", text.clip("abc", 3))
    assert.equal("ab…", text.clip("abcd", 3))
    assert.equal("漢…", text.clip("漢字", 3))
    assert.equal("漢…", text.clip("漢字字", 4))
    assert.equal("", text.clip("abc", 0))
    assert.equal("e\u{301}e\u{301}", text.clip("e\u{301}e\u{301}", 2))
    assert.equal("漢  ", text.padded("漢", 4))
    assert.equal("  漢", text.padded("漢", 4, true))
    assert.equal("long", text.padded("long", 2))
  end)

  it("breaks lines at spaces, with what goes on indented", function()
    assert.equal("one two\n  three\n  four\nfive", text.wrap("one two three four\nfive", 8, 2))
    assert.equal("漢字\n漢字", text.wrap("漢字 漢字", 8))
    assert.equal("a /a/very/long/path\nb", text.wrap("a /a/very/long/path b", 8))
    assert.equal("step 60  loss 0.5\n  f1 1", text.wrap("step 60  loss 0.5  f1 1", 21, 2):gsub("  \n", "\n"))
    assert.equal("at most\n17.7 GB", text.wrap("at most 17.7 GB", 13))
    assert.equal("  a command that is to be copied", text.wrap("  a command that is to be copied", 8))
    assert.equal("\n\nshort\n", text.wrap("\n\nshort\n", 8))
    assert.equal("\27[1mone two\27[0m\nthree", text.wrap("\27[1mone two\27[0m three", 8))
  end)

  it("keeps a shape, and a number with its unit, on one line", function()
    assert.equal("of\n{28, 28, 1}\nx", text.wrap("of {28, 28, 1} x", 12))
    assert.equal("accuracy\n93.76 %\n0.1 ms", text.wrap("accuracy 93.76 % 0.1 ms", 10))
  end)

  it("never breaks wider than asked, but for words that are wider themselves", function()
    local words = {}
    for i = 1, 200 do words[i] = ("x"):rep(i * 7 % 11 + 1) end
    for columns = 14, 40 do
      local wrapped = text.wrap(table.concat(words, " "), columns, 2)
      for line in wrapped:gmatch "[^\n]+" do assert.is_true(#line <= columns) end
      assert.equal(table.concat(words, " "), (wrapped:gsub("\n *", " ")))
    end
  end)
end)
