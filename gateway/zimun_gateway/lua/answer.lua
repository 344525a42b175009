-- The text of a refusal, rewritten as the server itself would say it.

-- A caller's own name for a field: whole characters and escapes, 64 bytes of them at the most.
local function short(name)
  local stop = 1
  while #name > 64 do
    local after = name:match("^\\u%x%x%x%x()", stop) or name:match("^\\.()", stop)
      or name:match("^[^\\][\128-\191]*()", stop)
    if not after or after > 65 then return name:sub(1, stop - 1) end
    stop = after
  end
  return name
end

-- The field and what is wrong with it, from the text of a refusal; nil if it is about no field.
-- The transcoder names fields as the request has them; where the body is its field `root`, callers
-- know them by what follows.
local function violation(text, root)
  local why, unknown = text:match("^field (.-): (.*)$")
  if why then return short(unknown), why end
  unknown = text:match("^Could not find field (.*) in the type ")
  if unknown then
    unknown = unknown:match('^\\"(.*)\\"$') or unknown:match("^\\u0022(.*)\\u0022$")
    return short(unknown), "is unknown"
  end
  local parent = text:match('^Encountered a non%-leaf field \\"([%w_]+)\\"')
  if parent then return parent, "has no fields of its own" end
  local twice = text:match("^The binding value .* of the field ([%w_.]+) is conflicting with ")
  if twice then return twice, "has another value in the path or the query" end
  local field = text:match("^([%w_][%w_.%[%]]*): ")
  if not field then return nil end
  if root and field:sub(1, #root + 1) == root .. "." then field = field:sub(#root + 2) end
  -- An element of a list ends with its number, a value in a map with "[number].value".
  local whole = field:gsub("%]%.value$", "]"):gsub("%[%d+%]$", "")
  why = TYPES[text:match(".* for type (%S+)$")] or "is malformed"
  return whole:gsub("%[%d+%]", ""), (whole == field and "" or "each value ") .. why
end

local function answer(text, root)
  local field, why = violation(text, root)
  if field then return (INVALID_FIELD:gsub("%$(%a+)", {field = field, why = why})) end
  local message = text
  if text ~= NO_OBJECT and text:sub(1, #NO_JSON) ~= NO_JSON then
    message = "the request cannot be understood: " .. text:match("^[%w ,.:}_'-]*")
  end
  return (REQUEST_REFUSED:gsub("%$(%a+)", {message = message}))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if not headers:get(MARK) then return end
  headers:remove(MARK)
  -- What the connection's buffer cannot hold would become a 500; it stays as Envoy wrote it.
  if (tonumber(headers:get("content-length")) or 0) > 30000 then return end
  local body = handle:body()
  local text = body and body:getBytes(0, body:length()):match('"message":"(.*)"}%s*$')
  if not text then return end
  local seen = handle:streamInfo():dynamicMetadata():get("zimun") or {}
  handle:headers():replace("content-length", body:setBytes(answer(text, seen.root)))
end
