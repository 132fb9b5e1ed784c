local numbers = require "sm.numbers"

describe("numbers", function()
  it("are written with their thousands apart", function()
    local texts = { [0] = "0", [7] = "7", [999] = "999", [1000] = "1,000", [12345] = "12,345", [123456] = "123,456",
      [3274634] = "3,274,634", [-123] = "-123", [-1234] = "-1,234" }
    for number, text in pairs(texts) do assert.equal(text, numbers.thousands(number)) end
  end)
end)
