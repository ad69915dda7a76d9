// Names that two modules must know. A name from another module's output would hide what depends on it from `what-if`.

@export()
@description('The evidence account: at most 24 letters and digits, unique in the world.')
func evidenceAccount(namePrefix string, suffix string) string =>
  take('${take(replace(namePrefix, '-', ''), 11)}ev${suffix}', 24)

@export()
@description('The host\'s account, likewise.')
func hostAccount(namePrefix string, suffix string) string =>
  take('${take(replace(namePrefix, '-', ''), 11)}host${suffix}', 24)

@export()
@description('The account of exports, likewise.')
func exportAccount(namePrefix string, suffix string) string =>
  take('${take(replace(namePrefix, '-', ''), 11)}ex${suffix}', 24)
