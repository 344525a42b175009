-- Texts that the transcoder reads more kindly than their standards are.

-- RFC 3339, section 5.6, with a second below 60 and at most nine digits after it.
local function is_timestamp(text)
  local hour, rest = text:match("^%d%d%d%d%-%d%d%-%d%dT(%d%d):[0-5]%d:[0-5]%d(.*)$")
  if not hour or hour > "23" then return false end
  local digits, zone = rest:match("^%.(%d+)(.*)$")
  if digits and #digits > 9 then return false end
  zone = zone or rest
  local offset = zone:match("^[+-](%d%d):[0-5]%d$")
  return zone == "Z" or (offset ~= nil and offset <= "23")
end

-- A number of RFC 8259, section 6, without a fraction and an exponent: no plus, no leading zeros.
local function is_whole_number(text)
  return text:find("^%-?[1-9]%d*$") ~= nil or text:find("^%-?0$") ~= nil
end

-- google.protobuf.Duration in JSON: seconds, with at most nine digits after the point.
local function is_duration(text)
  local seconds, rest = text:match("^(%-?%d+)(.*)s$")
  local digits = rest and (rest == "" and "0" or rest:match("^%.(%d+)$"))
  return digits ~= nil and #digits <= 9 and is_whole_number(seconds)
end

local function is_boolean(text)
  return text == "true" or text == "false"
end

local FORMATS = {
  timestamp = is_timestamp, duration = is_duration, bool = is_boolean,
  int32 = is_whole_number, int64 = is_whole_number,
}

local SEQUENCES = {
  "^[%z\1-\127]+()", "^[\194-\223][\128-\191]()", "^\224[\160-\191][\128-\191]()",
  "^[\225-\236\238\239][\128-\191][\128-\191]()", "^\237[\128-\159][\128-\191]()",
  "^\240[\144-\191][\128-\191][\128-\191]()", "^[\241-\243][\128-\191][\128-\191][\128-\191]()",
  "^\244[\128-\143][\128-\191][\128-\191]()",
}

local function is_utf8(text)
  local i = 1
  while i <= #text do
    local after
    for _, sequence in ipairs(SEQUENCES) do
      after = after or text:match(sequence, i)
    end
    if not after then return false end
    i = after
  end
  return true
end
