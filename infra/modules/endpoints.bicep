// A private address for each service that the app speaks to, and the names by which they are found there.
// How many there are hangs on parameters alone, so that a check before the deployment sees them.

@description('What makes names of this installation unlike all others.')
param token string

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

@description('Resource id of the virtual network.')
param networkId string

@description('Resource id of its subnet for endpoints.')
param subnetId string

@description('Resource id of the storage account of the Functions host.')
param hostStorageId string

@description('Resource id of the storage account of settings and files.')
param dataStorageId string

@description('Resource id of the vault.')
param vaultId string

@description('Whether there is a database.')
param withDatabase bool

@description('Resource id of its server.')
param serverId string

@description('Kinds of services, as private endpoints call them.')
var kinds = concat(['blob', 'queue', 'table', 'vault'], withDatabase ? ['sqlServer'] : [])

@description('The name zone of each kind.')
var zones = {
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  queue: 'privatelink.queue.${environment().suffixes.storage}'
  table: 'privatelink.table.${environment().suffixes.storage}'
  vault: 'privatelink.vaultcore.azure.net'
  sqlServer: 'privatelink${environment().suffixes.sqlServerHostname}'
}

@description('Each service that gets a private address.')
var services = concat(
  [
    { name: 'host-blob', kind: 'blob' }
    { name: 'host-queue', kind: 'queue' }
    { name: 'host-table', kind: 'table' }
    { name: 'data-blob', kind: 'blob' }
    { name: 'vault', kind: 'vault' }
  ],
  withDatabase ? [{ name: 'sql', kind: 'sqlServer' }] : []
)

@description('What each of them belongs to.')
var owners = {
  'host-blob': hostStorageId
  'host-queue': hostStorageId
  'host-table': hostStorageId
  'data-blob': dataStorageId
  vault: vaultId
  sql: serverId
}

resource nameZones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for kind in kinds: {
    name: zones[kind]
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (kind, index) in kinds: {
    parent: nameZones[index]
    name: 'link-${token}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
]

resource endpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for service in services: {
    name: 'pe-bic-${service.name}-${token}'
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      privateLinkServiceConnections: [
        {
          name: service.name
          properties: { privateLinkServiceId: owners[service.name], groupIds: [service.kind] }
        }
      ]
    }
  }
]

resource addresses 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (service, index) in services: {
    parent: endpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: service.kind
          properties: { privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', zones[service.kind]) }
        }
      ]
    }
    dependsOn: [nameZones]
  }
]
