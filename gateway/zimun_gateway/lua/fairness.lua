-- Fair shares of busy servers. Each worker thread of Envoy has a state of its own.

local SENDERS = {}
local LATENCY = {sum = 0, count = 0, lowest = nil}
local limit, refused, busy_intervals, adapted_at = math.huge, false, 0, 0

-- Requests a second of an organization: each counts 1 and fades with a time constant of 1 s.
local function rate_at(sender, now)
  return sender.rate * math.exp((sender.at - now) / 1000)
end

local function count_request(organization, now)
  local sender = SENDERS[organization] or {rate = 0, at = now}
  SENDERS[organization] = sender
  sender.rate, sender.at = rate_at(sender, now) + 1, now
  return sender.rate
end

-- The highest rate, and the number of organizations that have sent something lately.
local function survey(now)
  local highest, count = 0, 0
  for organization, sender in pairs(SENDERS) do
    local rate = rate_at(sender, now)
    highest, count = math.max(highest, rate), count + 1
    if rate < MIN_RATE then SENDERS[organization] = nil end
  end
  return highest, count
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
  local highest, count = survey(now)
  adapted_at = now
  busy_intervals = is_busy() and busy_intervals + 1 or 0
  if count < 2 then
    limit = math.huge
  elseif busy_intervals >= MIN_BUSY_INTERVALS then
    limit = math.max(FAIR_RATE, math.min(limit, highest) * DECREASE)
  else
    limit = limit > highest and math.huge or limit * INCREASE
  end
end

function envoy_on_request(handle)
  local claims = handle:streamInfo():dynamicMetadata():get(JWT_FILTER)
  local organization = claims and claims[CLAIMS] and claims[CLAIMS].org_id
  if not organization then return end
  local now = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)
  adapt_limit(now)
  local rate = count_request(organization, now)
  if rate > limit and math.random() > limit / rate then
    handle:respond({[":status"] = "429"}, "")
  else
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
