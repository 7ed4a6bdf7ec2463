if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["coder-operator.dev/rotate"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
