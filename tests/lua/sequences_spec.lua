--- Layers over sequences: embedding, the recurrent ones, attention.
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has = helpers.error_of, helpers.has

local nn = sm.nn

before_each(function() sm.seed(7) end)

describe("nn.embedding", function()
  it("takes tokens of either type, and trains the rows that they name", function()
    local model = nn.sequential { nn.embedding { 5, 3 }, nn.linear { 2 } }:build({ 4 }, "int32")
    assert.same({ 4, 3 }, model:layer "embedding1".output_shape)
    has(tostring(model), "embedding 5 of 3")
    local tokens = sm.tensor({ { 0, 4, 4, 1 }, { 1, 1, 0, 0 } }, "int32")
    local y = model(tokens)
    assert.same({ 2, 4, 2 }, y.shape)
    assert.equal(0, (y - model(tokens:to "uint8")):abs():max():item())
    y:sum():backward()
    local table_of = model:parameters()["embedding1.weight"]
    assert.same({ 5, 3 }, table_of.shape)
    local rows = table_of.grad:abs():sum(2):gt(0)
    assert.same({ 1, 1, 0, 0, 1 }, rows:totable())
  end)

  it("is built for tokens by its first call, and names a token that it does not have", function()
    local model = nn.sequential { nn.embedding { 5, 3, name = "words" } }
    local tokens = sm.tensor({ { 0, 1 }, { 2, 5 } }, "int32")
    model(sm.zeros({ 1, 2 }, "int32"))
    assert.equal("int32", model.input_dtype)
    local message = error_of(model, tokens)
    has(message, "in layer 'words' (embedding) given {2, 2}: embedding: expected tokens from 0 to 4, got 5 at {2, 2}")
    has(message, "tokens count from 0")
    has(error_of(model, sm.zeros(1, 2)), "the tokens must be an int32 or uint8 tensor")
    has(error_of(nn.embedding, { 5 }), "nn.embedding: argument 2 is missing")
  end)
end)
