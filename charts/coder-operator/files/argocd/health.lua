-- What Argo CD shows of a custom resource. Degraded fails a running sync at once, so only what a human must change is that.
-- There is no standard library here.
local health = { status = "Progressing", message = "not looked at yet" }
if obj.status == nil or obj.status.observedGeneration == nil then
  return health
end
local conditions = {}
if obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "being deleted"
  if conditions["DeletionBlocked"] ~= nil then
    health.message = conditions["DeletionBlocked"].message
  end
  return health
end
-- A status of an earlier generation says nothing about this one.
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end
local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end
if holds("Stalled") then
  health.status = "Degraded"
  health.message = conditions["Stalled"].message
elseif holds("Suspended") then
  health.status = "Suspended"
  health.message = conditions["Suspended"].message
elseif holds("Ready") then
  health.status = "Healthy"
  health.message = conditions["Ready"].message
elseif conditions["Ready"] ~= nil then
  health.message = conditions["Ready"].message
end
return health
