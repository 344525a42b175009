-- Fair shares of busy servers. Each worker thread of Envoy has a state of its own.

local SENDERS = {}
local LATENCY = {sum = 0, count = 0, lowest = nil}
local limit, busy_limit = math.huge, math.huge
local refused, busy_intervals, adapted_at = false, 0, 0

-- Requests a second of an organization, sent and admitted: each counts 1 and fades with a time
-- constant of 1 s.
local function fade(sender, now)
  local part = math.exp((sender.at - now) / 1000)
  sender.sent, sender.admitted, sender.at = sender.sent * part, sender.admitted * part, now
end

local function sender_of(organization, now)
  local sender = SENDERS[organization] or {sent = 0, admitted = 0, at = now}
  SENDERS[organization] = sender
  fade(sender, now)
  return sender
end

-- What the organizations that have sent something lately send a second, and the most of one.
local function survey(now)
  local rates, highest = {}, 0
  for organization, sender in pairs(SENDERS) do
    fade(sender, now)
    rates[#rates + 1], highest = sender.sent, math.max(highest, sender.sent)
    if sender.sent < MIN_RATE then SENDERS[organization] = nil end
  end
  return rates, highest
end

-- The limit at which `part` is admitted of what is admitted at the present limit.
local function limit_for(rates, part)
  table.sort(rates, function(a, b) return a > b end)
  local total = 0
  for _, rate in ipairs(rates) do total = total + math.min(rate, limit) end
  local excess = total * (1 - part)
  local sum = 0
  for n, rate in ipairs(rates) do
    sum = sum + math.min(rate, limit)
    local level = (sum - excess) / n
    if level >= (rates[n + 1] or 0) then return level end
  end
  return 0
end

-- Whether requests were refused, or took several times as long as when the servers were idle.
local function is_busy()
  local mean = LATENCY.count > 0 and LATENCY.sum / LATENCY.count or 0
  if mean > 0 then LATENCY.lowest = math.min(mean, (LATENCY.lowest or mean) * CREEP) end
  local slow = mean > math.max(MIN_LATENCY, (LATENCY.lowest or 0) * MAX_SLOWDOWN)
  local busy = refused or slow
  LATENCY.sum, LATENCY.count, refused = 0, 0, false
  return busy
end

local function adapt_limit(now)
  if now - adapted_at < INTERVAL then return end
  local rates, highest = survey(now)
  adapted_at = now
  busy_intervals = is_busy() and busy_intervals + 1 or 0
  if #rates < 2 then
    limit = math.huge
  elseif busy_intervals >= MIN_BUSY_INTERVALS then
    if busy_intervals == MIN_BUSY_INTERVALS then busy_limit = math.min(limit, highest) end
    limit = math.max(FAIR_RATE, limit_for(rates, DECREASE))
  elseif limit > highest then
    limit = math.huge
  else
    limit = limit + math.max(limit * PROBE, (busy_limit * NEARLY - limit) * APPROACH)
  end
end

function envoy_on_request(handle)
  local claims = handle:streamInfo():dynamicMetadata():get(JWT_FILTER)
  local organization = claims and claims[CLAIMS] and claims[CLAIMS].org_id
  if not organization then return end
  local now = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)
  adapt_limit(now)
  local sender = sender_of(organization, now)
  sender.sent = sender.sent + 1
  if sender.admitted > limit then
    handle:respond({[":status"] = "429"}, "")
  else
    sender.admitted = sender.admitted + 1
    handle:streamInfo():dynamicMetadata():set(NAMESPACE, "begin", now)
  end
end

function envoy_on_response(handle)
  local admitted = handle:streamInfo():dynamicMetadata():get(NAMESPACE)
  if not admitted then return end
  local status, grpc_status = handle:headers():get(":status"), handle:headers():get("grpc-status")
  if status == "503" or grpc_status == "14" then
    refused = true
  elseif status == "200" then
    local now = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)
    LATENCY.sum, LATENCY.count = LATENCY.sum + now - admitted.begin, LATENCY.count + 1
  end
end
