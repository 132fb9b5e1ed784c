---@meta sm.optim
-- Made by `make docs` from the library's records, rules and comments; a test compares.

--- sm.optim: optimizers and schedules.
---@class sm.optim
local optim = {}

--- What moves parameters by their gradients.
---@class sm.Optimizer
local Optimizer = {}

--- its rule: "adam"
---@type string
Optimizer.name = nil

--- how many are done
---@type integer
Optimizer.steps = nil

--- of what telemetry gives
---@type string[]
Optimizer.telemetry_names = nil

---@class sm.options.optim.adam
---@field beta1? number what the mean m keeps at each step (default: 0.9)
---@field beta2? number what the mean of squares v keeps (default: 0.999)
---@field clip_norm? number the greatest length of all gradients together; longer ones are shortened
---@field clip_value? number the greatest size of an element of a gradient
---@field epsilon? number added to the root (default: 1e-8)
---@field groups? table settings by a pattern of names, the first that matches: { { "^head%.", lr = 1e-2 }, … }
---@field lr? number|sm.Schedule the learning rate, or a function of the step, as schedules are (default: 0.001)
---@field weight_decay? number weight_decay·w is added to the gradient (default: 0)

--- `optim.adam { lr = 1e-3 }`
---
--- Adam, with the epsilon outside the bias correction, as TensorFlow has it.
---     m = beta1·m + (1 − beta1)·g;  v = beta2·v + (1 − beta2)·g²
---     w −= lr·√(1 − beta2^t)/(1 − beta1^t) · m/(√v + epsilon),  t the optimizer's step, 1 for the first
---@param options? sm.options.optim.adam
---@return sm.Optimizer
function optim.adam(options) end

---@class sm.options.optim.adamw
---@field beta1? number what the mean m keeps at each step (default: 0.9)
---@field beta2? number what the mean of squares v keeps (default: 0.999)
---@field clip_norm? number the greatest length of all gradients together; longer ones are shortened
---@field clip_value? number the greatest size of an element of a gradient
---@field epsilon? number added to the root (default: 1e-8)
---@field groups? table settings by a pattern of names, the first that matches: { { "^head%.", lr = 1e-2 }, … }
---@field lr? number|sm.Schedule the learning rate, or a function of the step, as schedules are (default: 0.001)
---@field weight_decay? number w is multiplied by 1 − lr·weight_decay (default: 0.01)

--- `optim.adamw { lr = 1e-3, weight_decay = 0.01 }`
---
--- Adam whose weight decay is decoupled from the gradient.
---@param options? sm.options.optim.adamw
---@return sm.Optimizer
function optim.adamw(options) end

---@class sm.options.optim.constant
---@field [1] number the rate

--- `optim.constant(lr)`
---
--- the same rate at every step.
---@param lr number
---@return sm.Schedule
function optim.constant(lr) end

---@class sm.options.optim.cosine
---@field floor? number the last rate (default: 0)
---@field lr number the first rate
---@field steps integer how long the rate falls

--- `optim.cosine { lr = 1e-3, steps = 6000 }`
---
--- half a cosine from lr at step 1 down to `floor` after `steps` steps, and `floor` from there on. Loshchilov and
--- Hutter 2017, arxiv.org/abs/1608.03983.
---@param given sm.options.optim.cosine
---@return sm.Schedule
function optim.cosine(given) end

---@class sm.options.optim.define
---@field decoupled? boolean whether weight decay multiplies w by 1 − lr·weight_decay (default: false)
---@field name string how messages call it
---@field options? table its options beside lr, by name (default: {})
--- rate(options, lr, step): the learning rate that is used, where lr is not
---@field rate? fun(options: table, lr: number, step: integer): number
--- state(shape, options): new tensors by name, what is remembered of a parameter
---@field state? fun(shape: integer[], options: table): table<string, sm.Tensor>
--- step(w, g, state, at): the new weights
---@field step fun(w: sm.Tensor, g: sm.Tensor, state: table<string, sm.Tensor>, at: table): sm.Tensor
--- validate(where, options): raises where options do not go together
---@field validate? fun(where: string, options: table)

--- `sm.optim.define { name =, step = function(w, g, state, at) … end }`
---
--- an optimizer of one's own. Groups, schedules, clipping, weight decay, telemetry and checkpoints are as with the
--- library's.
---     name: how messages call it;
--- options: table, name → {type=, default=, required=, min=, max=, above=, below=, choices=}, beside lr (required
---     unless given here with a default), weight_decay, clip_norm and clip_value;
---     state(shape, options): a table of new tensors, what is remembered of a parameter of this shape;
---     step(w, g, state, at): gives the new weights. w are the weights, g the gradient, clipped already and with
--- weight_decay·w added; state has the tensors, to be replaced: state.mean = 0.9 * state.mean + g; at has lr and step
--- (1 for the first), and the options. Nothing is recorded for gradients. Where a result is not finite, the parameter
---     and its state stay as they were, and opt:step() raises;
---     decoupled: true: weight decay multiplies w by 1 − lr·weight_decay instead;
---     rate(options, lr, step): the learning rate that is used, where lr is not;
---     validate(where, options): raises where options do not go together.
---@param given sm.options.optim.define
---@return fun(options: table): sm.Optimizer # the constructor: opt = mine { lr = 0.1 }
function optim.define(given) end

---@class sm.options.optim.lion
---@field beta1? number the share of m in the way a weight goes (default: 0.9)
---@field beta2? number what the mean m keeps at each step (default: 0.99)
---@field clip_norm? number the greatest length of all gradients together; longer ones are shortened
---@field clip_value? number the greatest size of an element of a gradient
---@field groups? table settings by a pattern of names, the first that matches: { { "^head%.", lr = 1e-2 }, … }
---@field lr? number|sm.Schedule the learning rate, or a function of the step, as schedules are (default: 0.0001)
---@field weight_decay? number w is multiplied by 1 − lr·weight_decay (default: 0)

--- `optim.lion { lr = 1e-4 }`
---
--- every weight moves by lr or not at all, the way that a mean of gradients points.
---     w = w·(1 − lr·weight_decay) − lr·sign(beta1·m + (1 − beta1)·g);  m = beta2·m + (1 − beta2)·g
--- A good lr is three to ten times smaller than AdamW's, and a good weight_decay so many times larger.
---@param options? sm.options.optim.lion
---@return sm.Optimizer
function optim.lion(options) end

---@class sm.options.optim.muon
---@field adamw? boolean moves the matrices of a group as AdamW would, too (default: false)
---@field beta1? number of AdamW, which moves what is no matrix (default: 0.9)
---@field beta2? number of AdamW (default: 0.999)
---@field clip_norm? number the greatest length of all gradients together; longer ones are shortened
---@field clip_value? number the greatest size of an element of a gradient
---@field epsilon? number of AdamW (default: 1e-8)
---@field groups? table settings by a pattern of names, the first that matches: { { "^head%.", lr = 1e-2 }, … }
---@field lr? number|sm.Schedule the learning rate, or a function of the step, as schedules are (default: 0.001)
---@field momentum? number what the mean m keeps at each step (default: 0.95)
---@field nesterov? boolean looks ahead along the mean (default: true)
---@field steps? integer of Newton and Schulz (default: 5)
---@field weight_decay? number w is multiplied by 1 − lr·weight_decay (default: 0.1)

--- `optim.muon { lr = 1e-3, weight_decay = 0.1 }`
---
--- for matrices. Of a tensor of more axes all but the last are the rows of one, so that filters are matrices, too.
--- AdamW moves what has fewer than two axes, and groups with adamw = true, at their lr. Embeddings and the last layer
--- do better so: opt:add(head:parameters(), { adamw = true }).
---     m = momentum·m + (1 − momentum)·g;  u = m, or with nesterov momentum·m + (1 − momentum)·g
---     w = w·(1 − lr·weight_decay) − lr·√max(1, columns/rows)·orthogonalised(u)
---@param options? sm.options.optim.muon
---@return sm.Optimizer
function optim.muon(options) end

---@class sm.options.optim.rmsprop
---@field clip_norm? number the greatest length of all gradients together; longer ones are shortened
---@field clip_value? number the greatest size of an element of a gradient
---@field decay? number what the mean s keeps at each step (default: 0.9)
---@field epsilon? number added to the root (default: 1e-8)
---@field groups? table settings by a pattern of names, the first that matches: { { "^head%.", lr = 1e-2 }, … }
---@field lr number|sm.Schedule the learning rate, or a function of the step, as schedules are
---@field weight_decay? number so many times each weight is added to its gradient (default: 0)

--- `optim.rmsprop { lr = 1e-3 }`
---
--- the gradient divided by its recent root mean square.
---     s = decay·s + (1 − decay)·g²;  w −= lr·g/(√s + epsilon)
---@param options sm.options.optim.rmsprop
---@return sm.Optimizer
function optim.rmsprop(options) end

---@class sm.options.optim.sgd
---@field clip_norm? number the greatest length of all gradients together; longer ones are shortened
---@field clip_value? number the greatest size of an element of a gradient
---@field groups? table settings by a pattern of names, the first that matches: { { "^head%.", lr = 1e-2 }, … }
---@field lr number|sm.Schedule the learning rate, or a function of the step, as schedules are
---@field momentum? number what the velocity v keeps at each step (default: 0)
---@field nesterov? boolean looks ahead along the velocity (default: false)
---@field weight_decay? number so many times each weight is added to its gradient (default: 0)

--- `optim.sgd { lr = 0.1, momentum = 0.9 }`
---
--- stochastic gradient descent.
---     v = momentum·v + g;  w −= lr·v, or with nesterov w −= lr·(g + momentum·v)
---@param options sm.options.optim.sgd
---@return sm.Optimizer
function optim.sgd(options) end

---@class sm.options.optim.smorms3
---@field clip_norm? number the greatest length of all gradients together; longer ones are shortened
---@field clip_value? number the greatest size of an element of a gradient
---@field ease_in? integer steps over which the cap rises to lr (default: 0)
---@field epsilon? number added to g2 and to its root (default: 1e-16)
---@field groups? table settings by a pattern of names, the first that matches: { { "^head%.", lr = 1e-2 }, … }
---@field lr? number|sm.Schedule the cap of a weight's step, or a function of the step (default: 0.001)
---@field weight_decay? number so many times each weight is added to its gradient (default: 0)

--- `optim.smorms3 { lr = 1e-3 }`
---
--- RMSprop whose memory follows from the gradients, and whose steps are capped.
---     r = 1/(mem + 1);  g = (1 − r)·g + r·gradient;  g2 = (1 − r)·g2 + r·gradient²
---     x = g²/(g2 + epsilon);  w −= gradient·min(x, cap)/(√g2 + epsilon);  mem = 1 + mem·(1 − x)
--- The cap is lr, and over the first `ease_in` steps it rises to lr in a straight line: lr·min(1, t/ease_in).
---@param options? sm.options.optim.smorms3
---@return sm.Optimizer
function optim.smorms3(options) end

---@class sm.options.optim.step
---@field every integer how many steps a rate lasts
---@field factor number what the rate is multiplied by after these
---@field lr number the first rate

--- `optim.step { lr = 0.1, every = 1000, factor = 0.5 }`
---
--- lr, multiplied by `factor` after every `every` steps.
---@param given sm.options.optim.step
---@return sm.Schedule
function optim.step(given) end

---@class sm.options.optim.warmup
---@field after number|sm.Schedule a rate, or a schedule that begins then
---@field steps integer how long the rate rises

--- `optim.warmup { steps = 200, after = 1e-3 }`
---
--- a straight line from 0 up to the first rate of `after`, reached at step `steps`; then `after`, whose own step 1 is
--- the step that follows.
---@param given sm.options.optim.warmup
---@return sm.Schedule
function optim.warmup(given) end

--- `opt:add(parameters, overrides)`
---
--- Adds parameters as a group.
---
--- `parameters`: model:parameters() (before or after the model is built), a table of named tensors, or a tensor
---@param parameters sm.Tensor|table<string, sm.Tensor>
---@param overrides? table settings of this group alone, such as { lr = 1e-4, weight_decay = 0 }
---@return sm.Optimizer # the optimizer
function Optimizer:add(parameters, overrides) end

--- `opt:parameters()`
---
--- All parameters by name, group by group: an ordered map.
---@return table<string, sm.Tensor>
function Optimizer:parameters() end

--- `opt:zero_grad()`
---
--- Forgets the gradients of all parameters.
function Optimizer:zero_grad() end

--- `opt:rate()`
---
--- The learning rate of the first group at the last step done (before any: at the first step).
---@return number
function Optimizer:rate() end

--- `opt:step()`
---
--- Moves every parameter that has a gradient; those without one stay as they are, and so does their state. A gradient
--- that is not finite is an error which names the parameter, and so is one whose square, or the step that follows
--- from it, does not fit the numbers of tensors. The step is then not counted: the elements in question are as they
--- were, with their state; others, and parameters before this one, have moved.
function Optimizer:step() end

--- `opt:watch()`
---
--- Remembers every weight, so that telemetry() can say what the step that follows did. Costs a copy of the weights; a
--- step that nobody watches costs nothing.
function Optimizer:watch() end

--- `opt:telemetry()`
---
--- What has happened since watch(), over the weights that had a gradient then. Reads only, and forgets what watch()
--- remembered.
---
--- returns: name → number, for each name of `opt.telemetry_names`: step_rms, the root mean square of the changes of
--- the weights; others are the rule's own
---@return table<string, number>
function Optimizer:telemetry() end

--- `opt:state()`
---
--- The tensors to keep in a checkpoint, with `opt.steps`: an ordered map by name ("conv1.weight.mem").
---@return table<string, sm.Tensor>
function Optimizer:state() end

--- `opt:restore(tensors, steps)`
---
--- Takes over what state() gave. All or nothing: after an error the optimizer is as it was. A parameter may lack its
--- state altogether, as one that never had a gradient does.
---@param tensors table<string, sm.Tensor> a table or ordered map, name → tensor
---@param steps integer the number of steps done
function Optimizer:restore(tensors, steps) end

return optim
