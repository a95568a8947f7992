// Address ranges as each service wants to have them.

@export()
@description('A range in CIDR form, also where it is a single address (IPv6 where callers have it).')
func cidr(asked string) string => contains(asked, '/') ? asked : '${asked}/${contains(asked, ':') ? 128 : 32}'

@export()
@description('Whether a range is one of private networks (RFC 1918): public firewalls refuse it, private endpoints are reached from it.')
func isPrivate(asked string) bool =>
  startsWith(asked, '172.')
    ? contains(range(16, 16), int(split(asked, '.')[1]))
    : startsWith(asked, '10.') || startsWith(asked, '192.168.')

@export()
@description('The public ones, as firewalls of storage accounts and vaults take them: ranges of one or two addresses one by one.')
func publicRules(asked string[]) string[] =>
  flatten(map(
    filter(asked, one => !isPrivate(one)),
    one => endsWith(one, '/31') ? [parseCidr(one).network, parseCidr(one).broadcast] : [replace(one, '/32', '')]
  ))
