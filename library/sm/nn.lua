---@meta sm.nn
-- Made by `make docs` from the library's records, rules and comments; a test compares.

--- What weights begin with.
---@class sm.nn.init
local init = {}

--- sm.nn: layers, initialisers and whole models.
---@class sm.nn
---@field init sm.nn.init what weights begin with
local nn = {}

--- A layer, or a whole model. Called with a batch {N, …}, it gives its output. There may be several inputs, and
--- each may be a table of tensors by name.
---@class sm.Layer
---@field [string] any its parameters, buffers and layers by name
---@overload fun(...: any): any
local Layer = {}

--- what it is: "conv2d"
---@type string
Layer.kind = nil

--- within what it lies in
---@type string
Layer.name = nil

--- from the whole model; "" for that
---@type string
Layer.path = nil

--- those that it was made with
---@type table
Layer.options = nil

--- whether it is in training mode
---@type boolean
Layer.training = nil

--- those in it, or nil
---@type sm.Layer[]
Layer.layers = nil

--- of one example, once it is built
---@type table
Layer.input_shape = nil

--- of one example, once it is built
---@type table
Layer.output_shape = nil

--- A layer of nn.layer, as its functions get it.
---@class sm.OwnLayer: sm.Layer
local OwnLayer = {}

--- adds a parameter, self[name]
---@type fun(self, name: string, shape: integer[], init: sm.Initialiser, fan_in?: sm.Fan, fan_out?: sm.Fan): sm.Tensor
OwnLayer.make_parameter = nil

--- adds a tensor that is saved and not trained, self[name]
---@type fun(self: sm.OwnLayer, name: string, value: sm.Tensor): sm.Tensor
OwnLayer.make_buffer = nil

---@class sm.options.nn.add
---@field [integer] sm.Layer the layers in it
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.add { layer, … }`
---
--- each layer gets the same input, and what they give, of one shape, is added up.
---@param options? sm.options.nn.add|sm.Layer
---@return sm.Layer
function nn.add(options) end

---@class sm.options.nn.attention
---@field bias? boolean whether there are biases (default: true)
---@field bias_init? sm.Initialiser of the biases; zeros by default
---@field causal? boolean whether a step sees none after it (default: false)
---@field dropout? number share of the weights that training drops (default: 0)
---@field heads? integer parts of the size that attend by themselves (default: 1)
---@field init? sm.Initialiser of the weights
---@field name? string what the layer is called in paths; by default its kind and number
---@field size? integer numbers of a query of all heads together; by default the channels

--- `nn.attention { heads = 4 }`
---
--- sequences {N, T, channels} in which every step looks at all the others, {N, T, channels}. With a second input,
--- model(x, context), queries come from x, keys and values from context {N, S, channels}. An input more of uint8,
--- model(x, mask) or model(x, context, mask), says what is seen: {N, S}, of each sequence the steps; {N, T, S}, of
--- each step; or {N, heads, T, S}; 0 hides. The parameters are PyTorch's, as linear has its weights: `weight`
--- {channels, 3 size} and `bias` {3 size} for queries, keys and values in this order, `out_weight` {size, channels}
--- and `out_bias` {channels}.
---@param options? sm.options.nn.attention
---@return sm.Layer
function nn.attention(options) end

---@class sm.options.nn.avgpool1d
---@field [1] integer how many steps a window has
---@field count_padding? boolean whether padding counts, as zeros (default: false)
---@field dilation? integer steps from an element of the window to the next (default: 1)
---@field name? string what the layer is called in paths; by default its kind and number
--- "same", "valid", steps on each side or {before, after} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field partial? boolean whether what is left over at the end gets a window, too (default: false)
---@field stride? integer steps from a window to the next; by default the window's length, so that windows touch

--- `nn.avgpool1d { 2 }`
---
--- the mean of each window over sequences.
---@param options sm.options.nn.avgpool1d|integer
---@return sm.Layer
function nn.avgpool1d(options) end

---@class sm.options.nn.avgpool2d
---@field [1] integer|table how large a window is, or {height, width}
---@field count_padding? boolean whether padding counts, as zeros (default: false)
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
---@field name? string what the layer is called in paths; by default its kind and number
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field partial? boolean whether what is left over at the end gets a window, too (default: false)
--- pixels from a window to the next, or {down, across}; by default the window's size, so that windows touch
---@field stride? integer|integer[]

--- `nn.avgpool2d { 2 }`
---
--- the mean of each window.
---@param options sm.options.nn.avgpool2d
---@return sm.Layer
function nn.avgpool2d(options) end

---@class sm.options.nn.batchnorm
---@field epsilon? number added to the variance (default: 1e-5)
---@field momentum? number m in running = m · running + (1 − m) · batch, at each training step (default: 0.9)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.batchnorm { momentum = 0.9, epsilon = 1e-5 }`
---
--- y = weight · (x − mean)/√(variance + epsilon) + bias, with one mean and one variance per channel (the last
--- axis), over all other axes. In training they are those of the batch, and the gradient goes through them; in
--- evaluation mode they are the running ones, the buffers "mean" and "variance", which start at 0 and 1. Ioffe and
--- Szegedy 2015, arxiv.org/abs/1502.03167.
---@param options? sm.options.nn.batchnorm
---@return sm.Layer
function nn.batchnorm(options) end

---@class sm.options.nn.branch
---@field [string] sm.Layer the layers in it
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.branch { mean = layer, deviation = layer }`
---
--- each layer gets the same input, and what they give is a table by these names. `name`, if it is a text, names the
--- container itself.
---@param options? sm.options.nn.branch
---@return sm.Layer
function nn.branch(options) end

---@class sm.options.nn.celu
---@field [1] (number)? alpha (default: 1)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.celu()`
---
--- x where it is above 0, else alpha * (e^(x / alpha) - 1), which has no corner.
---@param options? sm.options.nn.celu|number
---@return sm.Layer
function nn.celu(options) end

---@class sm.options.nn.concat
---@field [integer] sm.Layer the layers in it
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.concat { layer, … }`
---
--- each layer gets the same input, and what they give is joined on the last axis.
---@param options? sm.options.nn.concat|sm.Layer
---@return sm.Layer
function nn.concat(options) end

---@class sm.options.nn.conv1d
---@field [1] integer how many filters
---@field bias? boolean whether each filter has a bias (default: true)
---@field bias_init? sm.Initialiser of the bias; zeros by default
---@field dilation? integer steps from an element of the window to the next (default: 1)
---@field groups? integer of channels and filters; a filter sees the channels of its own group alone (default: 1)
---@field init? sm.Initialiser of the weight; he_normal by default
---@field kernel integer how large the window is
---@field name? string what the layer is called in paths; by default its kind and number
--- "same", "valid", steps on each side or {before, after} (default: "same")
---@field padding? integer|integer[]|"same"|"valid"
---@field stride? integer steps from a window to the next (default: 1)

--- `nn.conv1d { filters, kernel = length }`
---
--- y {N, time', filters} of sequences {N, time, channels}. Numbers are of steps, and padding may be {before, after}.
---@param options sm.options.nn.conv1d
---@return sm.Layer
function nn.conv1d(options) end

---@class sm.options.nn.conv2d
---@field [1] integer how many filters
---@field bias? boolean whether each filter has a bias (default: true)
---@field bias_init? sm.Initialiser of the bias; zeros by default
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
---@field groups? integer of channels and filters; a filter sees the channels of its own group alone (default: 1)
---@field init? sm.Initialiser of the weight; he_normal by default
---@field kernel integer|table how large the window is, or {height, width}
---@field name? string what the layer is called in paths; by default its kind and number
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "same")
---@field padding? integer|integer[]|"same"|"valid"
---@field stride? integer|integer[] pixels from a window to the next, or {down, across}

--- `nn.conv2d { filters, kernel = size }`
---
--- y {N, height', width', filters}.
---@param options sm.options.nn.conv2d
---@return sm.Layer
function nn.conv2d(options) end

---@class sm.options.nn.conv2d_transpose
---@field [1] integer how many filters
---@field bias? boolean whether each filter has a bias (default: true)
---@field bias_init? sm.Initialiser of the bias; zeros by default
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
---@field groups? integer of channels and filters; a filter sees the channels of its own group alone (default: 1)
---@field init? sm.Initialiser of the weight; he_normal by default
---@field kernel integer|table how large the window is, or {height, width}
---@field name? string what the layer is called in paths; by default its kind and number
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "same")
---@field padding? integer|integer[]|"same"|"valid"
---@field size? table {height, width} of the result, where several lead to this input
---@field stride? integer|integer[] pixels from a window to the next, or {down, across}

--- `nn.conv2d_transpose { filters, kernel = size }`
---
--- the convolution turned around, y {N, height', width', filters}. Its weight is that of a convolution from `filters`
--- channels, {height, width, filters / groups, channels}. Where no size is given, "same" makes height * stride.
---@param options sm.options.nn.conv2d_transpose
---@return sm.Layer
function nn.conv2d_transpose(options) end

---@class sm.options.nn.dropout
---@field [1] number the probability of 0
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.dropout { 0.5 }`
---
--- in training each value is 0 with this probability, else divided by what is kept.
---@param options sm.options.nn.dropout|number
---@return sm.Layer
function nn.dropout(options) end

---@class sm.options.nn.elu
---@field [1] (number)? alpha (default: 1)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.elu()`
---
--- x where it is above 0, else alpha * (e^x - 1).
---@param options? sm.options.nn.elu|number
---@return sm.Layer
function nn.elu(options) end

---@class sm.options.nn.embedding
---@field [1] integer how many tokens there are
---@field [2] integer numbers for each
---@field init? sm.Initialiser of the table; normal with deviation 1
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.embedding { count, size }`
---
--- tokens {N, …}, int32 or uint8 from 0 to count − 1, become the rows of a table that they name, {N, …, size}.
--- The parameter is `weight` {count, size}. A model that begins with it is built for tokens, int32 ones where nothing
--- is said: model:build { T }.
---@param options sm.options.nn.embedding
---@return sm.Layer
function nn.embedding(options) end

---@class sm.options.nn.flatten
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.flatten()`
---
--- {N, …} becomes {N, features}; shares the storage.
---@param options? sm.options.nn.flatten
---@return sm.Layer
function nn.flatten(options) end

---@class sm.options.nn.fn
---@field [1] function f(x, training) → y
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.fn(f)`
---
--- any differentiable function of tensors as a layer, y = f(x, training), or f(x, …, training) of several inputs.
--- nn.fn { f, name = "swish" }. One of sm.pointwise takes what it names, and is not told whether it trains.
---@param f function|sm.options.nn.fn
---@return sm.Layer
function nn.fn(f) end

---@class sm.options.nn.gelu
---@field approximate? "none"|"tanh" which formula is taken (default: "none")
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.gelu()`
---
--- x times the probability that a normal number is below x; approximate = "tanh" is the formula with tanh (Hendrycks
--- and Gimpel 2016).
---@param options? sm.options.nn.gelu
---@return sm.Layer
function nn.gelu(options) end

---@class sm.options.nn.global_avgpool
---@field keepdim? boolean whether the axes stay, with size 1 (default: false)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.global_avgpool()`
---
--- the largest value and the mean of each channel.
---@param options? sm.options.nn.global_avgpool
---@return sm.Layer
function nn.global_avgpool(options) end

---@class sm.options.nn.global_maxpool
---@field keepdim? boolean whether the axes stay, with size 1 (default: false)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.global_maxpool()`
---
--- the largest value and the mean of each channel.
---@param options? sm.options.nn.global_maxpool
---@return sm.Layer
function nn.global_maxpool(options) end

---@class sm.options.nn.groupnorm
---@field affine? boolean whether there are a weight and a bias (default: true)
---@field epsilon? number added to the variance (default: 1e-5)
---@field groups integer number of equal groups of channels
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.groupnorm { groups = 8, epsilon = 1e-5, affine = true }`
---
--- of each example every group of channels (the last axis) brought to mean 0 and variance 1 over all of its places;
--- affine: then times a weight and plus a bias of each channel. groups = 1 takes all channels together, as many
--- groups as channels each by itself. Wu and He 2018, arxiv.org/abs/1803.08494.
---@param options sm.options.nn.groupnorm
---@return sm.Layer
function nn.groupnorm(options) end

---@class sm.options.nn.gru
---@field [1] integer the size of the state
---@field bias? boolean whether there are biases (default: true)
---@field bias_init? sm.Initialiser of the biases; the same by default
---@field bidirectional? boolean whether each goes both ways (default: false)
---@field dropout? number share of the states between layers that training drops (default: 0)
---@field init? sm.Initialiser of the weights; uniform in ±1/√size by default
---@field last? boolean whether it gives the last state alone, {N, size} (default: false)
---@field layers? integer how many, each on the states of the one before (default: 1)
---@field name? string what the layer is called in paths; by default its kind and number
---@field reverse? boolean whether it goes from the last step to the first (default: false)
---@field state? boolean whether it gives y, h and c (lstm) of the last state, too (default: false)

--- `nn.gru { size }`
---
--- sequences {N, T, in} become the states of each step, {N, T, size}. The parameters are `weight` {in, G size},
--- `recurrent_weight` {size, G size}, `bias` and `recurrent_bias` {G size}, with G gates in PyTorch's order: 1, r z
--- n, i f g o. Its matrices are their transposes. With layers = 2 the states of the first are the input of the
--- second, whose parameters are `weight_2` and so on. With bidirectional = true a second one goes from the last step
--- to the first, `weight_reverse`, and each step gives the states of both, {N, T, 2 size}. A second input is the
--- first state, model(x, h), of an lstm model(x, h, c); of several it is {N, count, size}, in the order of the
--- parameters, and so are h and c of `state`.
---@param options sm.options.nn.gru|integer
---@return sm.Layer
function nn.gru(options) end

---@class sm.options.nn.gumbel_softmax
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
--- gives 1 for the largest and 0 for the others, with the gradient of what is soft (default: false)
---@field hard? boolean
---@field name? string what the layer is called in paths; by default its kind and number
---@field sizes? table or the sizes of uneven groups of the last axis
--- divides the logits: a number, a function of the training step, or one learned for each group (default: 1)
---@field temperature? number|function|"learned"

--- `nn.gumbel_softmax { groups = 4, temperature = 1, hard = false }`
---
--- the same with Gumbel noise on the logits in training, so that the largest of a group is a draw from its softmax;
--- in evaluation the softmax itself. Jang, Gu and Poole 2017, arxiv.org/abs/1611.01144; Maddison, Mnih and Teh 2017,
--- arxiv.org/abs/1611.00712.
---@param options? sm.options.nn.gumbel_softmax
---@return sm.Layer
function nn.gumbel_softmax(options) end

---@class sm.options.nn.hardshrink
---@field [1] (number)? size (default: 0.5)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.hardshrink()`
---
--- x, or 0 where it lies in [-size, size].
---@param options? sm.options.nn.hardshrink|number
---@return sm.Layer
function nn.hardshrink(options) end

---@class sm.options.nn.hardsigmoid
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.hardsigmoid()`
---
--- (x + 3) / 6 limited to [0, 1], whose gradient at the limits is 0.
---@param options? sm.options.nn.hardsigmoid
---@return sm.Layer
function nn.hardsigmoid(options) end

---@class sm.options.nn.hardswish
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.hardswish()`
---
--- x * hardsigmoid(x).
---@param options? sm.options.nn.hardswish
---@return sm.Layer
function nn.hardswish(options) end

---@class sm.options.nn.hardtanh
---@field [1] (number)? low (default: -1)
---@field [2] (number)? high (default: 1)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.hardtanh()`
---
--- x limited to [low, high], whose gradient at the limits is 0.
---@param options? sm.options.nn.hardtanh|number
---@return sm.Layer
function nn.hardtanh(options) end

---@class sm.options.nn.identity
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.identity()`
---
--- gives its input, or its inputs, as they are; where a network has a place for a layer and needs none.
---@param options? sm.options.nn.identity
---@return sm.Layer
function nn.identity(options) end

---@class sm.options.nn.kwta
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
---@field k integer winners of each group
---@field name? string what the layer is called in paths; by default its kind and number
---@field sizes? table or the sizes of uneven groups of the last axis

--- `nn.kwta { k = 1, groups = 4 }`
---
--- of each group the k largest, and 0 for the others. Makhzani and Frey 2013, arxiv.org/abs/1312.5663.
---@param options sm.options.nn.kwta
---@return sm.Layer
function nn.kwta(options) end

---@class sm.options.nn.layer
--- build_values(self, shape, …): makes parameters and buffers
---@field build_values? fun(self: sm.OwnLayer, shape: integer[], ...: any)
---@field describe? fun(self: sm.OwnLayer): string describe(self): a few words for print(model)
---@field forward fun(self: sm.OwnLayer, ...: any): any forward(self, x, …) → y, …
---@field input_dtype? string|table the type of its input where that is not real; of several, all
---@field kind string its name in messages and in paths
---@field layers? fun(self: sm.OwnLayer): table layers(self): new layers in a row or by name, which are in it
---@field methods? table further functions, called as self:name(…)
---@field options? table of its layers, by name or position
---@field role? "weights"|"grouping"|"activation"|"normalisation"|"pooling"|"shape"|"noise" what views take it for
---@field setup? fun(self: sm.OwnLayer) setup(self): called when a layer is made
---@field short? string how paths begin, where it is not the kind

--- `nn.layer(given)`
---
--- Makes a kind of layer: what is returned is called as nn.linear is, with one table of options.
---
--- `given`: of kind its name, in messages and in paths ("capsule1"); short, if paths are to have another options the
--- options of its layers by name or position: { size = { type = "integer", required = true } }; a rule may have type,
--- default, required, min, max, above, below, choices, doc setup(self) is called when a layer is made; self.options
--- are checked layers(self) returns the layers in it, new ones, in a row or by name: { key = nn.linear { 8 } }, which
--- makes self.key; they are built, named, saved and trained with it build_values(self, shape, …) makes parameters
--- and buffers for inputs of these shapes, {1, …}, when the model is built: self:make_parameter(name, shape, init),
--- self:make_buffer(name, tensor) input_dtype of its input where that is not real, "int32" for indices; of several
--- inputs a list forward(self, x, …) → y, …: inputs and outputs are tensors, or tables of tensors by name.
--- self.training says which mode it is describe(self) → a few words for print(model) role what views take it for:
--- "weights", "activation", "normalisation", "pooling", "shape", "noise", or "grouping", a softmax over groups, with
--- the methods sizes(self, channels) and temperature(self) methods further functions, called as self:name(…)
---@param given sm.options.nn.layer
---@return fun(options?: any): sm.Layer # the constructor
function nn.layer(given) end

---@class sm.options.nn.layernorm
---@field affine? boolean whether there are a weight and a bias (default: true)
---@field axis? integer|table the last axis, or a list of last axes (default: -1)
---@field epsilon? number added to the variance (default: 1e-5)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.layernorm { axis = -1, epsilon = 1e-5, affine = true }`
---
--- each example's numbers along the last axis, or a list of last axes, brought to mean 0 and variance 1; affine: then
--- times a weight and plus a bias of these axes. Ba, Kiros and Hinton 2016, arxiv.org/abs/1607.06450.
---@param options? sm.options.nn.layernorm
---@return sm.Layer
function nn.layernorm(options) end

---@class sm.options.nn.leaky_relu
---@field [1] (number)? slope (default: 0.01)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.leaky_relu()`
---
--- x where it is above 0, else slope * x.
---@param options? sm.options.nn.leaky_relu|number
---@return sm.Layer
function nn.leaky_relu(options) end

---@class sm.options.nn.linear
---@field [1] integer features
---@field bias? boolean whether each output has a bias (default: true)
---@field bias_init? sm.Initialiser of the bias; zeros by default
---@field init? sm.Initialiser of the weight; he_normal by default
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.linear { features }`
---
--- y {N, …, features} = x {N, …, in} · weight {in, features} + bias {features}, along the last axis.
---@param options sm.options.nn.linear|integer
---@return sm.Layer
function nn.linear(options) end

---@class sm.options.nn.logsigmoid
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.logsigmoid()`
---
--- the logarithm of the sigmoid.
---@param options? sm.options.nn.logsigmoid
---@return sm.Layer
function nn.logsigmoid(options) end

---@class sm.options.nn.lstm
---@field [1] integer the size of the state
---@field bias? boolean whether there are biases (default: true)
---@field bias_init? sm.Initialiser of the biases; the same by default
---@field bidirectional? boolean whether each goes both ways (default: false)
---@field dropout? number share of the states between layers that training drops (default: 0)
---@field init? sm.Initialiser of the weights; uniform in ±1/√size by default
---@field last? boolean whether it gives the last state alone, {N, size} (default: false)
---@field layers? integer how many, each on the states of the one before (default: 1)
---@field name? string what the layer is called in paths; by default its kind and number
---@field reverse? boolean whether it goes from the last step to the first (default: false)
---@field state? boolean whether it gives y, h and c (lstm) of the last state, too (default: false)

--- `nn.lstm { size }`
---
--- sequences {N, T, in} become the states of each step, {N, T, size}. The parameters are `weight` {in, G size},
--- `recurrent_weight` {size, G size}, `bias` and `recurrent_bias` {G size}, with G gates in PyTorch's order: 1, r z
--- n, i f g o. Its matrices are their transposes. With layers = 2 the states of the first are the input of the
--- second, whose parameters are `weight_2` and so on. With bidirectional = true a second one goes from the last step
--- to the first, `weight_reverse`, and each step gives the states of both, {N, T, 2 size}. A second input is the
--- first state, model(x, h), of an lstm model(x, h, c); of several it is {N, count, size}, in the order of the
--- parameters, and so are h and c of `state`.
---@param options sm.options.nn.lstm|integer
---@return sm.Layer
function nn.lstm(options) end

---@class sm.options.nn.maxout
---@field [1] (integer)? features
---@field bias? boolean whether each piece has a bias; true by default
---@field bias_init? sm.Initialiser of the bias; zeros by default
---@field init? sm.Initialiser of the weight; he_normal by default
---@field name? string what the layer is called in paths; by default its kind and number
---@field pieces? integer of which the largest is taken (default: 2)

--- `nn.maxout { features, pieces = 2 }`
---
--- each feature is the largest of so many linear functions of x, along the last axis. Without features, the largest
--- of every so many neighbours among the channels of the layer before. Goodfellow et al. 2013,
--- arxiv.org/abs/1302.4389.
---@param options? sm.options.nn.maxout|integer
---@return sm.Layer
function nn.maxout(options) end

---@class sm.options.nn.maxpool1d
---@field [1] integer how many steps a window has
---@field dilation? integer steps from an element of the window to the next (default: 1)
---@field name? string what the layer is called in paths; by default its kind and number
--- "same", "valid", steps on each side or {before, after} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field partial? boolean whether what is left over at the end gets a window, too (default: false)
---@field stride? integer steps from a window to the next; by default the window's length, so that windows touch

--- `nn.maxpool1d { 2 }`
---
--- the largest value of each window over sequences.
---@param options sm.options.nn.maxpool1d|integer
---@return sm.Layer
function nn.maxpool1d(options) end

---@class sm.options.nn.maxpool2d
---@field [1] integer|table how large a window is, or {height, width}
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
---@field name? string what the layer is called in paths; by default its kind and number
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field partial? boolean whether what is left over at the end gets a window, too (default: false)
--- pixels from a window to the next, or {down, across}; by default the window's size, so that windows touch
---@field stride? integer|integer[]

--- `nn.maxpool2d { 2 }, nn.maxpool2d { { 1, 4 } }`
---
--- the largest value of each window.
---@param options sm.options.nn.maxpool2d
---@return sm.Layer
function nn.maxpool2d(options) end

---@class sm.options.nn.mish
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.mish()`
---
--- x * tanh(softplus(x)).
---@param options? sm.options.nn.mish
---@return sm.Layer
function nn.mish(options) end

---@class sm.options.nn.prelu
---@field channels? integer how many slopes there are (default: 1)
---@field init? number what they begin with (default: 0.25)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.prelu { channels = 32 }`
---
--- a leaky_relu whose slopes are trained, one for each channel; without `channels` one for all.
---@param options? sm.options.nn.prelu
---@return sm.Layer
function nn.prelu(options) end

---@class sm.options.nn.relu
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.relu()`
---
--- x where it is above 0, else 0; the gradient at 0 is 0.
---@param options? sm.options.nn.relu
---@return sm.Layer
function nn.relu(options) end

---@class sm.options.nn.relu6
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.relu6()`
---
--- x limited to [0, 6], whose gradient at the limits is 0.
---@param options? sm.options.nn.relu6
---@return sm.Layer
function nn.relu6(options) end

---@class sm.options.nn.reshape
---@field [1] integer the first size after the batch
---@field [2] (integer)? the next size, if there is one
---@field [3] (integer)? the next size, if there is one
---@field [4] (integer)? the next size, if there is one
---@field [5] (integer)? the next size, if there is one
---@field [6] (integer)? the next size, if there is one
---@field [7] (integer)? the next size, if there is one
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.reshape { 7, 7, 64 }`
---
--- each example gets this shape, {N, 7, 7, 64}; one size may be -1, what is left. Shares the storage.
---@param options sm.options.nn.reshape|integer
---@return sm.Layer
function nn.reshape(options) end

---@class sm.options.nn.residual
---@field [integer] sm.Layer the layers in it
---@field name? string what the layer is called in paths; by default its kind and number
---@field shortcut? sm.Layer a layer that brings x to the shape of f(x)

--- `nn.residual { … }`
---
--- A residual block, y = x + f(x), where f is the layers one after the other: nn.residual { layer, … }. f must keep
--- the shape, unless a layer brings x to that of f(x): y = shortcut(x) + f(x). He et al. 2016,
--- arxiv.org/abs/1512.03385.
---@param options? sm.options.nn.residual|sm.Layer
---@return sm.Layer
function nn.residual(options) end

---@class sm.options.nn.rnn
---@field [1] integer the size of the state
---@field bias? boolean whether there are biases (default: true)
---@field bias_init? sm.Initialiser of the biases; the same by default
---@field bidirectional? boolean whether each goes both ways (default: false)
---@field dropout? number share of the states between layers that training drops (default: 0)
---@field init? sm.Initialiser of the weights; uniform in ±1/√size by default
---@field last? boolean whether it gives the last state alone, {N, size} (default: false)
---@field layers? integer how many, each on the states of the one before (default: 1)
---@field name? string what the layer is called in paths; by default its kind and number
---@field nonlinearity? "tanh"|"relu" what gives the state (default: "tanh")
---@field reverse? boolean whether it goes from the last step to the first (default: false)
---@field state? boolean whether it gives y, h and c (lstm) of the last state, too (default: false)

--- `nn.rnn { size }`
---
--- sequences {N, T, in} become the states of each step, {N, T, size}. The parameters are `weight` {in, G size},
--- `recurrent_weight` {size, G size}, `bias` and `recurrent_bias` {G size}, with G gates in PyTorch's order: 1, r z
--- n, i f g o. Its matrices are their transposes. With layers = 2 the states of the first are the input of the
--- second, whose parameters are `weight_2` and so on. With bidirectional = true a second one goes from the last step
--- to the first, `weight_reverse`, and each step gives the states of both, {N, T, 2 size}. A second input is the
--- first state, model(x, h), of an lstm model(x, h, c); of several it is {N, count, size}, in the order of the
--- parameters, and so are h and c of `state`.
---@param options sm.options.nn.rnn|integer
---@return sm.Layer
function nn.rnn(options) end

---@class sm.options.nn.selu
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.selu()`
---
--- an elu that keeps mean 0 and variance 1 (Klambauer et al. 2017).
---@param options? sm.options.nn.selu
---@return sm.Layer
function nn.selu(options) end

---@class sm.options.nn.sequential
---@field [integer] sm.Layer the layers in it
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.sequential { … }`
---
--- Layers one after the other: nn.sequential { layer, … }. The first gets the inputs, each further one what the one
--- before it gave.
---@param options? sm.options.nn.sequential|sm.Layer
---@return sm.Layer
function nn.sequential(options) end

---@class sm.options.nn.sigmoid
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.sigmoid()`
---
--- the logistic function, 1 / (1 + e^-x).
---@param options? sm.options.nn.sigmoid
---@return sm.Layer
function nn.sigmoid(options) end

---@class sm.options.nn.silu
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.silu()`
---
--- x * sigmoid(x), also called swish.
---@param options? sm.options.nn.silu
---@return sm.Layer
function nn.silu(options) end

---@class sm.options.nn.softmax
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
--- gives 1 for the largest and 0 for the others, with the gradient of what is soft (default: false)
---@field hard? boolean
---@field name? string what the layer is called in paths; by default its kind and number
---@field off? boolean adds an option with logit 0, none of these, to every group (default: false)
---@field scale? boolean multiplies by the group's size, so that the mean is 1 (default: false)
---@field sizes? table or the sizes of uneven groups of the last axis
--- divides the logits: a number, a function of the training step, or one learned for each group (default: 1)
---@field temperature? number|function|"learned"

--- `nn.softmax { groups = 4 }`
---
--- a softmax over each group of channels (the last axis), at each location. Sizes are of uneven groups, {16, 16, 32}.
--- An axis counts that of the batch, too: {2, 3} are all locations of an image. The step that a temperature depends
--- on counts the layer's calls in training from 1. One that is learned is a parameter for each group, whose logarithm
--- begins at 0.
---@param options? sm.options.nn.softmax
---@return sm.Layer
function nn.softmax(options) end

---@class sm.options.nn.softplus
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.softplus()`
---
--- log(1 + e^x), a relu without a corner, whose gradient is the sigmoid.
---@param options? sm.options.nn.softplus
---@return sm.Layer
function nn.softplus(options) end

---@class sm.options.nn.softshrink
---@field [1] (number)? size (default: 0.5)
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.softshrink()`
---
--- x less what of it lies in [-size, size].
---@param options? sm.options.nn.softshrink|number
---@return sm.Layer
function nn.softshrink(options) end

---@class sm.options.nn.softsign
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.softsign()`
---
--- x / (1 + |x|).
---@param options? sm.options.nn.softsign
---@return sm.Layer
function nn.softsign(options) end

---@class sm.options.nn.sparsemax
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
---@field name? string what the layer is called in paths; by default its kind and number
---@field sizes? table or the sizes of uneven groups of the last axis

--- `nn.sparsemax { groups = 4 }`
---
--- probabilities of which many are exactly 0. Martins and Astudillo 2016, arxiv.org/abs/1602.02068.
---@param options? sm.options.nn.sparsemax
---@return sm.Layer
function nn.sparsemax(options) end

---@class sm.options.nn.tanh
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.tanh()`
---
--- the hyperbolic tangent.
---@param options? sm.options.nn.tanh
---@return sm.Layer
function nn.tanh(options) end

---@class sm.options.nn.tanhshrink
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.tanhshrink()`
---
--- x - tanh(x).
---@param options? sm.options.nn.tanhshrink
---@return sm.Layer
function nn.tanhshrink(options) end

---@class sm.options.nn.threshold
---@field [1] number threshold
---@field [2] number value
---@field name? string what the layer is called in paths; by default its kind and number

--- `nn.threshold()`
---
--- x where it is above the threshold, else a value.
---@param options sm.options.nn.threshold
---@return sm.Layer
function nn.threshold(options) end

---@class sm.options.nn.upsample2d
---@field align_corners? boolean whether bilinear interpolation puts corners on corners (default: false)
---@field factor? number|table how many times as large, or {down, across}
---@field mode? "nearest"|"bilinear" what is between pixels (default: "nearest")
---@field name? string what the layer is called in paths; by default its kind and number
---@field size? table or the result's {height, width}

--- `nn.upsample2d { factor = 2 }`
---
--- y {N, height * factor, width * factor, channels}.
---@param options? sm.options.nn.upsample2d
---@return sm.Layer
function nn.upsample2d(options) end

--- `nn.init.constant(value)`
---
--- Every value the same.
---@param value number number
---@return sm.Initialiser
function init.constant(value) end

--- `nn.init.glorot_normal()`
---
--- Normal, variance 2/(fan_in + fan_out): keeps the scale both ways. Glorot and Bengio 2010.
---@return sm.Initialiser
function init.glorot_normal() end

--- `nn.init.glorot_uniform()`
---
--- As glorot_normal, uniform in ±sqrt(6/(fan_in + fan_out)).
---@return sm.Initialiser
function init.glorot_uniform() end

--- `nn.init.he_normal()`
---
--- Normal, variance 2/fan_in: keeps the scale of activations through relus. He et al. 2015, arxiv.org/abs/1502.01852.
---@return sm.Initialiser
function init.he_normal() end

--- `nn.init.he_uniform()`
---
--- As he_normal, uniform in ±sqrt(6/fan_in).
---@return sm.Initialiser
function init.he_uniform() end

--- `nn.init.normal(std)`
---
--- Normal with mean 0.
---@param std number the standard deviation
---@return sm.Initialiser
function init.normal(std) end

--- `nn.init.truncated_normal(std)`
---
--- Normal with mean 0, values beyond two standard deviations drawn again (TensorFlow's truncated_normal).
---@param std number the standard deviation before the redrawing
---@return sm.Initialiser
function init.truncated_normal(std) end

--- `nn.init.zeros()`
---
--- Every value 0.
---@return sm.Initialiser
function init.zeros() end

--- `model:build(shape, dtype)`
---
--- Builds the model: infers all shapes and draws all parameters, in order, from the stream "initialisation". The
--- first call of a model that is not built does it by itself.
---
--- `shape`: the shape of one example, without the batch axis: {28, 28, 1}; for several inputs a list of shapes; for
--- tables of tensors tables of shapes
---
--- `dtype`: the type of its elements: what the first layer asks for, or real, unless it is given; "int32" for
--- indices. For several inputs, or tables, a table like that of the shapes
---@param shape table
---@param dtype? sm.Dtype|table
---@return sm.Layer # the model
function Layer:build(shape, dtype) end

--- `model:activations(...)`
---
--- The output of every layer for a batch x.
---
--- returns: an ordered map from path to tensor, in the order of computation; where a layer is applied again, its
--- later outputs are at "path (2)", …; where one gives a table, each of its tensors is at "path.key"
---@param ... any
---@return table<string, sm.Tensor>
function Layer:activations(...) end

--- `model:parameters()`
---
--- The trained tensors by name ("conv1.weight"), in the order of the layers. The map is filled when the model is
--- built, so that it may be handed to an optimizer before. Those of a single layer:
--- model:layer("conv1"):parameters().
---@return table<string, sm.Tensor>
function Layer:parameters() end

--- `model:buffers()`
---
--- The tensors that are saved but not trained (batchnorm's running statistics), as by parameters().
---@return table<string, sm.Tensor>
function Layer:buffers() end

--- `model:train()`
---
--- Training mode, as at the start: dropout drops, batchnorm uses and records the batch's statistics.
---@return sm.Layer # the model
function Layer:train() end

--- `model:eval()`
---
--- Evaluation mode: dropout does nothing, batchnorm uses the running statistics.
---@return sm.Layer # the model
function Layer:eval() end

--- `model:layer(path)`
---
--- The layer at a path such as "conv1" or "residual1.conv2"; within a part of a model the part's own path may be left
--- out.
---@param path string
---@return sm.Layer
function Layer:layer(path) end

--- `model:summary()`
---
--- The table that print(model) shows, as a string.
---@return string
function Layer:summary() end

---@class sm.options.model.load
---@field names? table|function from their names to the model's
---@field prefix? string of the names that are meant, which is taken off
---@field strict? boolean whether nothing may be missing or left over (default: true)

--- `model:load(given, options)`
---
--- Takes over tensors by name. All or nothing: after an error the model is as it was.
---
--- `given`: a file, a run's checkpoint for one, or a table name → tensor, as model:parameters() is
---
--- `options`: {prefix=, strict=true, names=}: prefix of the names that are meant, which is taken off (others are left
--- alone; by default none, "model." of a run's checkpoint, and a part's own path); names, a table from their names to
--- the model's (false leaves one out) or a function (name, tensor) → name[, tensor], which may turn the tensor
--- about; strict = false leaves out what one side lacks
---
--- returns: {missing= what the model has and the source lacks, unexpected= the other way round}: arrays of names
---@param given string|table<string, sm.Tensor>
---@param options? sm.options.model.load
---@return sm.Layer # the model
---@return table
function Layer:load(given, options) end

--- `model:freeze(pattern, frozen)`
---
--- Keeps parameters as they are: those whose name matches a Lua pattern ("^conv1%.", by default all) want no
--- gradient, so that no optimizer moves them. They stay in checkpoints. Before the model is built it holds for what
--- will be there.
---@param pattern? string string|nil
---@param frozen? boolean false lets them train again
---@return sm.Layer # the model
function Layer:freeze(pattern, frozen) end

return nn
