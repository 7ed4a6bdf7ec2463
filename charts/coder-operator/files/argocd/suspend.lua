obj.spec.mode = "Suspend"
return obj
