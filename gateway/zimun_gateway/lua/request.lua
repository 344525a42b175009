-- A request of the JSON route, before the transcoder sees it.

local NO_BODY = "field is required: body"

for _, fields in pairs(MESSAGES) do
  for _, shape in ipairs(fields) do
    fields[shape.name], fields[shape.json] = shape, shape
  end
end

local function character(hex)
  return string.char(tonumber(hex, 16))
end

local function percent_decoded(text)
  return (text:gsub("%%(%x%x)", character))
end

-- The shape of a query parameter: `a.b` is the field b of the message in the field a.
local function parameter(name, message)
  local shape
  for part in name:gmatch("[^.]+") do
    shape = message and MESSAGES[message][part]
    if not shape then return nil end
    message = not shape.values and shape.message or nil
  end
  return shape
end

-- What is wrong with the value of a parameter that the contract knows; nil for nothing.
local function value_refusal(shape, raw)
  if not raw then return "must have a value" end
  if raw:gsub("%%%x%x", ""):find("%", 1, true) then return "must be percent encoded" end
  local value = percent_decoded(raw)
  if not is_utf8(value) then return "must be UTF-8" end
  local format = (shape.elements or shape).format
  if format and value ~= "" and not FORMATS[format](value) then return SAYS[format] end
end

-- The same of one parameter, and its name as it was written.
local function parameter_refusal(pair, rule, seen)
  local written, raw = pair:match("^([^=]*)=(.*)$")
  written = written or pair
  local name = percent_decoded(written)
  -- The transcoder leaves out empty parts, and ignores a name that has no others.
  if ("." .. name .. "."):find("..", 1, true) then return "is unknown", written end
  local shape = parameter(name, rule.request)
  if not shape then return not raw and "is unknown" or nil, written end
  if rule.elsewhere[name:match("^[^.]*")] then return "is no query parameter", written end
  local once = not (shape.elements or shape.repeats)
  if once and seen[shape] ~= nil then return "must not be there twice", written end
  seen[shape] = raw ~= ""
  return value_refusal(shape, raw), written
end

local function query_refusal(query, rule, seen)
  for pair in query:gmatch("[^&]+") do
    local why, name = parameter_refusal(pair, rule, seen)
    if why then return "field " .. why .. ": " .. name end
  end
end

-- The rules of a path by their verbs, and the texts of its variables; a path that is named as it is
-- comes before any pattern.
local function verbs_of(path)
  if PATHS[path] then return PATHS[path], {} end
  for pattern, verbs in pairs(PATTERNS) do
    if path:find(pattern) then return verbs, {path:match(pattern)} end
  end
end

-- The rule of a verb among those of a path; without one, the verbs that the path has, or nil.
local function rule_of(verbs, verb)
  if not verbs or verbs[verb] then return verbs and verbs[verb] end
  local names = {}
  for name in pairs(verbs) do names[#names + 1] = name end
  table.sort(names)
  return nil, table.concat(names, ", ")
end

local function path_refusal(rule, texts)
  for i, name in ipairs(rule.variables) do
    local value = percent_decoded(texts[i])
    if not is_utf8(value) then return "field must be UTF-8: " .. name end
  end
end

-- The body of a request, if it has any and the rule reads it.
local function body_of(handle, rule)
  local body = rule.message and handle:body()
  local text = body and body:getBytes(0, body:length()) or ""
  return text:find("[^ \t\n\r]") and text
end

-- Gives an update without a field mask the one that its body stands for: the fields that it names, in an
-- order of their own, as the same body is the same request under an Idempotency-Key.
local function add_mask(handle, rule, path, query, seen)
  if not rule.mask or #named == 0 or seen[parameter(rule.mask, rule.request)] then return end
  table.sort(named)
  query = query .. (query == "" and "" or "&") .. rule.mask .. "=" .. table.concat(named, ",")
  handle:headers():replace(":path", path .. "?" .. query)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, query = headers:get(":path"):match("^([^?]*)%??(.*)$")
  local verbs, texts = verbs_of(path)
  local rule, allowed = rule_of(verbs, headers:get(":method"))
  if allowed then return handle:respond({[":status"] = "405", allow = allowed}, "no such method") end
  if not rule then return end
  local seen = {}
  local refused = path_refusal(rule, texts) or query_refusal(query, rule, seen)
  local body = not refused and body_of(handle, rule)
  if body then refused = body_refusal(body, rule.message) end
  if rule.mask and not body then refused = refused or NO_BODY end
  if refused then return handle:respond({[":status"] = "400"}, refused) end
  if rule.root then handle:streamInfo():dynamicMetadata():set("zimun", "root", rule.root) end
  add_mask(handle, rule, path, query, seen)
end
