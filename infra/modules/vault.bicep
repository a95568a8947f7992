// Secrets of appliances, shares and databases. Rights by role only; what is deleted can be brought back for 90 days.
import { publicRules } from 'ranges.bicep'

@description('Name of the vault.')
param name string

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

@description('Resource id of the workspace that the audit log goes to.')
param workspaceId string

@description('Name of the key that signs seals; empty: none.')
param sealKey string

@description('Reached by a private endpoint only.')
param privateOnly bool

@description('Address ranges from which secrets may be written all the same.')
param administratorRanges string[]

@description('The same as firewall rules.')
var rules = map(publicRules(administratorRanges), range => { value: range })

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: privateOnly && empty(rules) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateOnly ? 'Deny' : 'Allow'
      ipRules: privateOnly ? rules : []
    }
  }

  // Signs and verifies, inside the vault only: nobody can take it out, whoever deploys neither.
  resource seal 'keys' = if (!empty(sealKey)) {
    name: empty(sealKey) ? 'none' : sealKey
    tags: tags
    properties: {
      kty: 'EC'
      curveName: 'P-256'
      keyOps: ['sign', 'verify']
      attributes: { enabled: true, exportable: false }
    }
  }
}

// Who read which secret, who signed, and who changed one.
#disable-next-line use-recent-api-versions // Azure offers logs in no other version
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'AuditEvent', enabled: true }]
  }
}

@description('Resource id of the vault.')
output vaultId string = vault.id

@description('Address of the vault.')
output vaultUrl string = vault.properties.vaultUri

@description('Name of the key that signs seals; empty: none.')
output sealKeyName string = sealKey
