obj.spec.mode = "Manage"
return obj
