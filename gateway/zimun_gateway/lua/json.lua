-- Walks a JSON text (RFC 8259) beside the contract's field names. Each function takes a position in
-- the text s and returns the one after what it read. What is wrong is raised, with the names that lead
-- to it in `path`; the fields that an update could change are listed in `named`.

local MAX_DEPTH = 64
local path = {}
local named = {}

local walk

local function fail(why)
  error({path = table.concat(path, "."), depth = #path, why = why}, 0)
end

local function malformed(i)
  error({malformed = i}, 0)
end

local function blank(s, i)
  return s:match("^[ \t\n\r]*()", i)
end

-- The text from the quote at i on, which ends before the position that is returned.
local function text(s, i)
  while true do
    local stop = s:find('[%z\1-\31\\"]', i + 1)
    local byte = stop and s:byte(stop)
    if byte == 34 then return stop + 1 end
    i = byte == 92 and (s:match('^["\\/bfnrt]()', stop + 1) or s:match("^u%x%x%x%x()", stop + 1))
    if not i then malformed(stop or #s + 1) end
    i = i - 1
  end
end

local ESCAPES = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

local function unit(code)
  if code < 0x80 then return string.char(code) end
  local last = 0x80 + code % 64
  if code < 0x800 then return string.char(0xc0 + math.floor(code / 64), last) end
  return string.char(0xe0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, last)
end

-- Two surrogates (RFC 8259, 7), each written as three bytes, are one character of four.
local function pair(high, low)
  local _, b, c = high:byte(1, 3)
  local _, e, f = low:byte(1, 3)
  local code = 0x10000 + (b % 16 * 64 + c % 64) * 1024 + e % 16 * 64 + f % 64
  return string.char(0xf0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

-- What a text says, without its quotes and escapes.
local function decoded(raw)
  if not raw:find("\\", 1, true) then return raw end
  local unescaped = raw:gsub("\\(.)(%x?%x?%x?%x?)", function(kind, hex)
    if kind == "u" then return unit(tonumber(hex, 16)) end
    return (ESCAPES[kind] or kind) .. hex
  end)
  return (unescaped:gsub("(\237[\160-\175][\128-\191])(\237[\176-\191][\128-\191])", pair))
end

local function number(s, i)
  local stop = s:match("^%-?[1-9]%d*()", i) or s:match("^%-?0()", i) or malformed(i)
  stop = s:match("^%.%d+()", stop) or stop
  return s:match("^[eE][+-]?%d+()", stop) or stop
end

-- A value of a list or a map.
local function element(s, i, shape)
  local depth = #path
  if s:find("^null[ \t\n\r,%]}]", i) then fail("each value must not be null") end
  local good, stop = pcall(walk, s, i, shape)
  if good then return stop end
  if stop.depth == depth then stop.why = "each value " .. stop.why end
  error(stop, 0)
end

-- The comma or the closing bracket after a value: the position of the next value, or of the end.
local function follow(s, i, bracket)
  i = blank(s, i)
  local byte = s:byte(i)
  if byte == 44 then return blank(s, i + 1), false end
  if byte ~= bracket then malformed(i) end
  return i + 1, true
end

-- Puts the field that `path` leads to in the place of those named since `before`: of a list, a map or
-- an empty object the field itself counts, of a message in it the fields inside; of a fixed one, none.
local function name_field(field, before)
  if field.parts and #named > before then return end
  for n = #named, before + 1, -1 do named[n] = nil end
  if not field.fixed then named[before + 1] = table.concat(path, ".") end
end

local function member(s, i, shape, fields, seen)
  local stop = s:byte(i) == 34 and text(s, i) or malformed(i)
  local name = s:sub(i + 1, stop - 2)
  local field = fields and fields[name]
  local key = fields and (field and field.name) or decoded(name)
  local depth, before = #path + 1, #named
  if fields then path[depth] = field and field.name or name end
  if fields and not field then fail("is unknown") end
  if seen[key] then fail(fields and "must not be there twice" or "must not have a key twice") end
  seen[key] = true
  i = s:match("^[ \t\n\r]*:[ \t\n\r]*()", stop) or malformed(stop)
  i = fields and walk(s, i, field) or element(s, i, shape.values)
  if fields then name_field(field, before) end
  path[depth] = nil
  return i
end

local function object(s, i, shape)
  if not (shape.message or shape.values) then fail("must not be an object") end
  i = blank(s, i + 1)
  if s:byte(i) == 125 then return i + 1 end
  local fields, seen, ended = not shape.values and MESSAGES[shape.message], {}, nil
  repeat
    i, ended = follow(s, member(s, i, shape, fields, seen), 125)
  until ended
  return i
end

local function array(s, i, shape)
  if not shape.elements then fail("must not be a list") end
  i = blank(s, i + 1)
  if s:byte(i) == 93 then return i + 1 end
  local ended
  repeat
    i, ended = follow(s, element(s, i, shape.elements), 93)
  until ended
  return i
end

walk = function(s, i, shape)
  local byte = s:byte(i)
  if #path > MAX_DEPTH then fail("is too deep") end
  if byte == 91 then return array(s, i, shape) end
  if shape.elements and s:find('^[{"tf%d-]', i) then fail("must be a list") end
  if byte == 123 then return object(s, i, shape) end
  if byte ~= 34 then
    return s:match("^true()", i) or s:match("^false()", i) or s:match("^null()", i) or number(s, i)
  end
  local stop = text(s, i)
  local check = FORMATS[shape.format]
  if check and not check(decoded(s:sub(i + 1, stop - 2))) then fail(SAYS[shape.format]) end
  return stop
end

-- What a body of this message gets wrong, in the words that `violation` takes apart; nil for nothing.
local function body_refusal(s, message)
  path, named = {}, {}
  local start = blank(s, 1)
  if s:byte(start) ~= 123 then return NO_OBJECT end
  local good, result = pcall(object, s, start, {message = message})
  local stop = good and blank(s, result) or result.malformed
  if good and stop > #s then return nil end
  if not good and result.why then return "field " .. result.why .. ": " .. result.path end
  return NO_JSON .. stop
end
